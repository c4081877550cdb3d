"""What can go wrong, in one vocabulary.

Each error says what is wrong with which name and value, what is allowed and what to do, and
carries these as attributes. All are `StressbookError` and also the built-in that they replace.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from traceback import extract_tb
from typing import Any, Self

__all__ = [
    "MISSING",
    "AgentError",
    "ConservationError",
    "Interrupted",
    "InvalidInput",
    "InvalidScenario",
    "LadderExhausted",
    "OverflowFault",
    "Problem",
    "StressError",
    "StressbookError",
    "UnknownName",
    "nearest_name",
    "place_of",
]


class _Missing:
    """Marks a value that was not given, where None is a value like any other."""

    def __repr__(self) -> str:
        return "MISSING"

    def __reduce__(self) -> str:
        return "MISSING"


MISSING = _Missing()


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Parameters
    ----------
    problem : str
        What is wrong, as the end of a sentence that begins with name and value.
    name : str, default ""
        The offending name, with its place in a file where there is one.
    value : object, default MISSING
        The offending value, unless there is none.
    allowed : str, default ""
        Allowed range or names, with the unit.
    hint : str, default ""
        What to do.

    Examples
    --------
    >>> print(Problem("is not a correlation", "rho", 1.4, "a number from -1 to 1"))
    rho = 1.4 is not a correlation.
      allowed: a number from -1 to 1
    """

    problem: str
    name: str = ""
    value: object = MISSING
    allowed: str = ""
    hint: str = ""

    def __str__(self) -> str:
        subject = self.name if self.value is MISSING else f"{self.name} = {self.value!r}"
        lines = [f"{subject} {self.problem}.".lstrip()]
        if self.allowed:
            lines.append(f"  allowed: {self.allowed}")
        if self.hint:
            lines.append(f"  hint   : {self.hint}")
        return "\n".join(lines)


class StressbookError(Exception):
    """Anything that stressbook raises on purpose.

    Parameters
    ----------
    problem : str
        What is wrong, as the end of a sentence that begins with name and value.
    name, value, allowed, hint
        See `Problem`.

    Attributes
    ----------
    name, value, allowed, hint
        As given.
    problems : tuple of Problem
        All problems that the error reports, at least one.

    Examples
    --------
    >>> raise InvalidInput("is negative", name="qty_lots", value=-3, allowed="1 or more lots")
    Traceback (most recent call last):
    ...
    stressbook.errors.InvalidInput: qty_lots = -3 is negative.
      allowed: 1 or more lots
    """

    problems: tuple[Problem, ...]

    def __init__(
        self,
        problem: str,
        *,
        name: str = "",
        value: object = MISSING,
        allowed: str = "",
        hint: str = "",
    ) -> None:
        self._set_problems((Problem(problem, name, value, allowed, hint),))

    def _set_problems(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        self.args = (self._message(),)

    def _message(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)

    @property
    def name(self) -> str:
        """Offending name of the first problem."""
        return self.problems[0].name

    @property
    def value(self) -> object:
        """Offending value of the first problem, MISSING if it has none."""
        return self.problems[0].value

    @property
    def allowed(self) -> str:
        """What is allowed, of the first problem."""
        return self.problems[0].allowed

    @property
    def hint(self) -> str:
        """What to do, of the first problem."""
        return self.problems[0].hint

    def __str__(self) -> str:
        # KeyError would print the repr.
        return str(self.args[0])

    def __reduce__(self) -> tuple[Any, ...]:
        # Workers send errors home: the constructor's keywords would be lost on the way.
        return _restore, (type(self), self.args, self.__dict__)


def _restore(
    cls: type[StressbookError], args: tuple[object, ...], attributes: dict[str, object]
) -> StressbookError:
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(attributes)
    return error


class InvalidInput(StressbookError, ValueError):
    """An argument that a function cannot accept."""

    @classmethod
    def from_problems(cls, problems: Sequence[Problem]) -> Self:
        """Return one error for all problems of an argument.

        Parameters
        ----------
        problems : sequence of Problem
            At least one.

        Returns
        -------
        InvalidInput
            To be raised by the caller.

        Raises
        ------
        InvalidInput
            If `problems` is empty.

        Examples
        --------
        >>> print(InvalidInput.from_problems([Problem("is empty", "tiers")]))
        tiers is empty.
        """
        if not problems:
            raise InvalidInput("is empty", name="problems", value=problems, allowed="1 or more")
        error = cls("")
        error._set_problems(tuple(problems))
        return error


class InvalidScenario(StressbookError, ValueError):
    """A scenario or study file that cannot be run; reports every problem at once.

    Examples
    --------
    >>> problem = Problem("is not a correlation", "stresses[0].rho", 1.4, "a number from -1 to 1")
    >>> print(InvalidScenario.from_problems([problem], source="caps.toml"))
    caps.toml, stresses[0].rho = 1.4 is not a correlation.
      allowed: a number from -1 to 1
    """

    source: str = ""

    @classmethod
    def from_problems(cls, problems: Sequence[Problem], *, source: str = "") -> Self:
        """Return one error for all problems of a file.

        Parameters
        ----------
        problems : sequence of Problem
            At least one.
        source : str, default ""
            Name of the file, printed before each problem.

        Returns
        -------
        InvalidScenario
            To be raised by the caller.

        Raises
        ------
        InvalidInput
            If `problems` is empty.
        """
        if not problems:
            raise InvalidInput("is empty", name="problems", value=problems, allowed="1 or more")
        error = cls("")
        error.source = source
        error._set_problems(tuple(problems))
        return error

    def _message(self) -> str:
        lead = f"{self.source}, " if self.source else ""
        return "\n".join(f"{lead}{problem}" for problem in self.problems)


class UnknownName(StressbookError, KeyError):
    """A name that is in no list; suggests the nearest that is.

    Parameters
    ----------
    kind : str
        What the name should name: "scenario", "stress".
    value : object
        The unknown name, or what was given in place of one.
    known : iterable of str
        Names that would do.
    hint : str, optional
        What to do, instead of the suggestion.

    Examples
    --------
    >>> print(UnknownName("scenario", "clam", known=["calm", "crisis"]))
    scenario = 'clam' is unknown.
      allowed: calm, crisis
      hint   : did you mean 'calm'?
    """

    def __init__(self, kind: str, value: object, *, known: Iterable[str], hint: str = "") -> None:
        names = sorted(known)
        nearest = nearest_name(value, names) if isinstance(value, str) else None
        if nearest is not None and not hint:
            hint = f"did you mean {nearest!r}?"
        super().__init__(
            "is unknown", name=kind, value=value, allowed=", ".join(names) or "none", hint=hint
        )


class AgentError(StressbookError, RuntimeError):
    """An agent that a user wrote has failed while it decided."""


class StressError(StressbookError, RuntimeError):
    """A stress that a user wrote has failed while it turned dials."""


class ConservationError(StressbookError, RuntimeError):
    """A sum over the ledger's rows that should be constant has moved."""


class LadderExhausted(StressbookError, ArithmeticError):
    """A price has left the ladder on which its book is kept."""


class OverflowFault(StressbookError, OverflowError):
    """A balance has passed the bound below which 64-bit integers cannot wrap."""


class Interrupted(StressbookError, RuntimeError):
    """The user has stopped a study that the same command resumes."""


def place_of(error: BaseException, *, outside: Path) -> str:
    """Return file and line of a user's code in which an error came up.

    Parameters
    ----------
    error : BaseException
        As caught.
    outside : Path
        Folder of the package from which that code was called.

    Returns
    -------
    str
        "own.py, line 12"; "its file" where none is known.
    """
    frames = [
        frame
        for frame in extract_tb(error.__traceback__)[1:]
        if Path(frame.filename).parent != outside
    ]
    own = [frame for frame in frames if frame.filename == frames[0].filename]
    return f"{Path(own[-1].filename).name}, line {own[-1].lineno}" if own else "its file"


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like `name`, None if none is like it.

    Examples
    --------
    >>> nearest_name("Clam", ["calm", "crisis"])
    'calm'
    """
    by_folded = {candidate.casefold(): candidate for candidate in known}
    matches = get_close_matches(name.casefold(), by_folded, n=1)
    return by_folded[matches[0]] if matches else None
