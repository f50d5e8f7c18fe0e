"""A first spec for any table: what its columns are, what is to be predicted, and what is doubtful about it.

``draft`` looks at a file and returns the text of a spec with comments, and the doubts. It guesses, says so,
and writes nothing. Heavy (pandas, scikit-learn); only the command line uses it.
"""

from model.drafting.doubts import Doubt
from model.drafting.drafting import Draft, draft

__all__ = ["Doubt", "Draft", "draft"]
