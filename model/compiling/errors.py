"""The one error of this package: a pipeline that has to run as scikit-learn."""

from utils.errors import VigiaError


class NotCompilableError(VigiaError):
    """No graph answers what this pipeline answers; ``reason`` says which step, and why."""

    code = "not_compilable"
    title = "Pipeline cannot be compiled"

    @property
    def reason(self) -> str:
        """One sentence, shown with the model."""
        return self.detail
