"""Zips with one thing wrong each, and what our reader says of them. Go's verdicts are in gozip/verdicts.json.

A case is a zip and either the reason of our refusal or the files that it holds. All are of one module.
"""

from __future__ import annotations

from functools import cache

from tests.gomod.zipcorpus.accepted import accepted
from tests.gomod.zipcorpus.case import MODULE, Case
from tests.gomod.zipcorpus.contents import contents, local_headers, sizes
from tests.gomod.zipcorpus.names import names
from tests.gomod.zipcorpus.wholes import directories, endings

__all__ = ["MODULE", "Case", "corpus"]


@cache
def corpus() -> dict[str, Case]:
    """The whole corpus by name, always the same."""
    groups = (accepted, endings, directories, local_headers, contents, names, sizes)
    made = [case for group in groups for case in group()]
    by_name = {case.name: case for case in made}
    assert len(by_name) == len(made), "two cases of one name"
    return by_name
