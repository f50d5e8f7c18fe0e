"""CSV as people have it: ``model init`` and ``mlops batch`` give the right result or say what is wrong."""

import csv
import gzip
import io
import json
import random
import re
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from distributed import LocalCluster

from mlops.batch.running import Request, Run
from model import frame, spec, training
from model.__main__ import main
from model.packing import pack
from utils.errors import TableError

N_ROWS = 120
BOM = b"\xef\xbb\xbf"
SPEC = """
name: odd
task: classification
target: {name: y, classes: ["no", "yes"]}
data: {train: plain.csv}
pipeline: tests.small_pipelines:logistic
features: {size: {type: number}, n: {type: integer}, colour: {type: category}}
"""


def rows():
    """Rows of a table in which nothing alone tells the target."""
    draw = random.Random(4)
    for _ in range(N_ROWS):
        size, n, colour = (
            draw.randrange(5_000) / 100,
            draw.randint(1, 9),
            draw.choice(["red", "añil", "green"]),
        )
        yield f"{size:.2f}", n, colour, "yes" if size + 5 * n + draw.gauss(0, 9) > 50 else "no"


def table(decimal=".", **form):
    """The table as text, written in this form."""
    text = io.StringIO()
    writer = csv.writer(text, **{"lineterminator": "\n"} | form)
    writer.writerow(["size", "n", "colour", "y"])
    writer.writerows([size.replace(".", decimal), *rest] for size, *rest in rows())
    return text.getvalue()


PLAIN = table()
THE_SAME = {
    "bom.csv": BOM + PLAIN.encode(),
    "crlf.csv": table(lineterminator="\r\n").encode(),
    "decimal commas.csv": table(",", delimiter=";").encode(),
    "from excel.csv": BOM + table(",", delimiter=";", quoting=csv.QUOTE_ALL, lineterminator="\r\n").encode(),
    "tabs.csv": table(delimiter="\t").encode(),
    "latin-1.csv": PLAIN.encode("latin-1"),
    "empty lines.csv": ("\n\n" + PLAIN.replace("\n", "\n\n")).encode(),
    "packed.csv.gz": gzip.compress(PLAIN.encode()),
    "packed twice.csv.gz": gzip.compress(PLAIN[:999].encode()) + gzip.compress(PLAIN[999:].encode()),
}
# What stands below the table; how its rows, from 121 on, are answered or refused; what ``init`` says to it.
BELOW = {
    "quoted line ends": ('9.5,3,"re\nd",no\n30,2,"a ""b"", c",yes\n', {121: "", 122: ""}, "122 rows"),
    "a short row": ("9.5,3\n9.5,3,red,no\n", {121: "missing", 122: ""}, "122 rows"),
    "a long row": ("9.5,3,red,no,more,still\n", {121: ""}, "Expected 4 fields in line 122, saw 6"),
    "NUL in a text": ("9.5,3,re\0d,no\n", {121: ""}, "121 rows"),
    "NULs in place of rows": ("\0" * 50, {121: "type"}, "121 rows"),
    "a very long field": ("9.5,3," + "x" * 300_000 + ",no\n", {121: "too_long"}, "121 rows"),
    "an open quote": ('9.5,3,"red,no\n9.5,3,red,no\n', {121: "open_quote"}, "EOF inside string"),
}
UNUSABLE = {
    "empty.csv": (b"", "is empty", "No columns"),
    "only a mark.csv": (BOM, "is empty", "No columns"),
    "no header.csv": (
        PLAIN.partition("\n")[2].encode(),
        "lacking columns: size, n, colour. It has",
        "no column 'y'",
    ),
    "other separator.csv": (
        PLAIN.replace(",", "#").encode(),
        "It has: 'size#n#colour#y'",
        "no column 'y'|two columns",
    ),
    "names twice.csv": (PLAIN.replace("colour", "size", 1).encode(), "lacking column: colour.*'size.1'", ""),
    "wide.csv": (PLAIN.encode("utf-16"), "is UTF-16", "is UTF-16"),
    "old mac.csv": (PLAIN.replace("\n", "\r").encode(), "header cannot be read", ""),
    "half.csv.gz": (
        gzip.compress(PLAIN.encode())[:-20],
        "cannot be read.*ended before",
        "cannot be read.*ended before",
    ),
    "not packed.csv.gz": (PLAIN.encode(), "Not a gzipped file", "Not a gzipped file"),
}


@pytest.fixture(scope="module")
def cluster():
    """The address of a worker in this process."""
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as found:
        yield found.scheduler_address


@pytest.fixture
def init(tmp_path):
    """Have a spec written; returns what was said, or what was wrong where ``code`` is 1."""

    def call(path, code=0):
        env = {"STATE_DIR": str(tmp_path / "state"), "LOG_LEVEL": "ERROR"}
        result = CliRunner().invoke(main, ["init", str(path), "--target", "y", "--name", "odd"], env=env)
        assert result.exit_code == code, result.output
        return " ".join(result.output.split())

    return call


def trained(path):
    """A version that learnt from the table of a spec."""
    found = msgspec.structs.replace(spec.load(path), pipeline="tests.small_pipelines:logistic")
    read = frame.read_table(path.parent / found.data.train, found)
    return pack(training.train(found, read), "1", b"a key of tests")


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    """A version that learnt from the plain table."""
    folder = tmp_path_factory.mktemp("plain")
    (folder / "plain.csv").write_text(PLAIN, encoding="utf-8")
    (folder / "plain.yaml").write_text(SPEC)
    return trained(folder / "plain.yaml")


def score(version, path, cluster):
    """Score a file; returns the answers, and the first reason by the number of a refused row."""
    manifest, parts = version
    output = path.parent / "scored.ndjson"
    request = Request(str(path), str(output), address=cluster, part_bytes=1_000)
    summary = Run(request, manifest, parts.__getitem__).run(lambda part, done: None)
    refused = [] if summary.refused_rows is None else lines(Path(summary.refused_rows))
    return lines(output), {one["row"]: one["errors"][0]["code"] for one in refused}


def lines(path):
    """The objects of an NDJSON file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def expected(version, cluster, tmp_path_factory):
    """The answers to the plain table."""
    path = tmp_path_factory.mktemp("expected") / "plain.csv"
    path.write_text(PLAIN, encoding="utf-8")
    return [one["probability"] for one in score(version, path, cluster)[0]]


@pytest.mark.parametrize("name", THE_SAME)
def test_the_same_table_in_another_form_is_learnt_and_answered_alike(name, init, cluster, expected, tmp_path):
    path = tmp_path / name
    path.write_bytes(THE_SAME[name])

    told = init(path)
    answers, refused = score(trained(tmp_path / "state/models/odd.yaml"), path, cluster)

    assert f"{N_ROWS} rows" in told and refused == {}
    assert [one["probability"] for one in answers] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", BELOW)
def test_odd_rows_are_answered_or_refused_and_change_no_other(
    name, version, init, cluster, expected, tmp_path
):
    below, reasons, words = BELOW[name]
    path = tmp_path / "odd.csv"
    path.write_text(PLAIN + below, encoding="utf-8", newline="")

    answers, refused = score(version, path, cluster)

    assert refused == {row: reason for row, reason in reasons.items() if reason}
    assert [one["row"] for one in answers] == [
        *range(1, N_ROWS + 1), *(row for row, reason in reasons.items() if not reason)
    ]  # fmt: skip
    assert [one["probability"] for one in answers[:N_ROWS]] == expected
    assert words in init(path, code=0 if words.endswith("rows") else 1)


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_file_that_cannot_be_used_says_why(name, version, init, cluster, tmp_path):
    content, to_batch, to_init = UNUSABLE[name]
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(TableError, match=to_batch):
        score(version, path, cluster)

    assert re.search(to_init, init(path, code=1 if to_init else 0))


def test_a_header_alone_has_no_answers_and_teaches_nothing(version, init, cluster, tmp_path):
    path = tmp_path / "header.csv"
    path.write_text("size,n,colour,y\n")

    assert score(version, path, cluster) == ([], {})
    assert "and rows" in init(path, code=1)


def test_a_part_of_which_all_rows_are_refused_stops_nothing(version, cluster, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(PLAIN + "x,x,red,no\n" * 1_000, encoding="utf-8")

    answers, refused = score(version, path, cluster)

    assert len(answers) == N_ROWS and set(refused.values()) == {"type"} and len(refused) == 1_000
