"""A calibration as a tidy frame, as parameters for a scenario, as JSON and as a table to read."""

import json
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stressbook.errors import UnknownName
from stressbook.experiments.calibration.estimate import LEVEL
from stressbook.experiments.calibration.rows import ASSUMED, PARAMETER, Row
from stressbook.experiments.recorded import ASSETS, KINDS

__all__ = ["CalibrationResult", "FileRecord", "markdown_table"]

DIGITS = 4
COLUMNS = (
    "asset",
    "table",
    "name",
    "value",
    "low",
    "high",
    "n",
    "unit",
    "role",
    "target",
    "market",
    "source",
    "start",
    "end",
    "note",
)


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One recording that a calibration has read.

    Parameters
    ----------
    kind : str
        Key of `recorded.KINDS`.
    name : str
        File name, without its folder.
    sha256 : str
        Of the file's bytes.
    """

    kind: str
    name: str
    sha256: str

    @property
    def source(self) -> str:
        """Public repository of the recording behind the reference; of any other file, its name.

        Examples
        --------
        >>> FileRecord("closes_1h", "hl_perp_spot_hourly_mine.csv", "0" * 64).source
        'hl_perp_spot_hourly_mine.csv'
        """
        kind = KINDS[self.kind]
        return kind.source if self.sha256 == kind.sha256 else self.name


@dataclass(frozen=True)
class CalibrationResult:
    """Fitted and assumed numbers of a world and its flow.

    Parameters
    ----------
    rows : tuple of Row
        In the order of the report.
    files : tuple of FileRecord
        What was read.
    seed : int
        Seed of bootstraps and simulated records; fitted values but for bias do not depend on it.

    Examples
    --------
    >>> from stressbook.experiments.calibration.assumed import assumed_rows
    >>> result = CalibrationResult(tuple(assumed_rows()), (), 1)
    >>> print(result.to_toml().splitlines()[6])
    outside_impact_bp_per_musd = 0.3  # bp per 1e6 USD; assumed; as in trials, ...
    """

    rows: tuple[Row, ...]
    files: tuple[FileRecord, ...]
    seed: int

    @property
    def frame(self) -> pd.DataFrame:
        """One row a number; columns as in `Row`, with value and interval spread out.

        Returns
        -------
        DataFrame
            ``source`` is that of the file: its name, or the public repository of the reference.
        """
        return pd.DataFrame(self._records(), columns=list(COLUMNS))

    def _records(self) -> list[dict[str, object]]:
        sources = {file.kind: file.source for file in self.files}
        return [_record(row, sources) for row in self.rows]

    def value(self, asset: str, name: str) -> float:
        """Return one value.

        Parameters
        ----------
        asset, name : str
            As in `Row`.

        Returns
        -------
        float

        Raises
        ------
        UnknownName
            If there is no such row.
        """
        values = {row.name: row.estimate.value for row in self.rows if row.asset == asset}
        if name not in values:
            raise UnknownName(f"number of {asset}", name, known=values)
        return values[name]

    def correlation(self) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        """Return the matrix of correlations of all hours, a valid one.

        Returns
        -------
        ndarray, shape (n_assets, n_assets), dtype float64
            In the order of `recorded.ASSETS`; NaN for pairs without data. Pairs are estimated on
            the hours that both have, so the matrix is shrunk to the identity if it must be.
        """
        corr = np.eye(len(ASSETS))
        for i, first in enumerate(ASSETS):
            for j in range(i + 1, len(ASSETS)):
                corr[i, j] = corr[j, i] = self._pair(first, ASSETS[j])
        if np.isfinite(corr).all():
            least = float(np.linalg.eigvalsh(corr)[0])
            if least < 1e-6:
                corr += (1e-6 - least) * np.eye(len(ASSETS))
                corr /= corr[0, 0]
        return corr

    def _pair(self, first: str, second: str) -> float:
        try:
            return self.value(second, f"corr_{first}")
        except UnknownName:
            return float("nan")

    def to_toml(self) -> str:
        """Return the parameters and assumed values as tables; a scenario has other keys for them.

        Returns
        -------
        str
            ``[world]`` with assets and correlation, ``[world.BTC]``, ``[flow.BTC]`` and so on; each
            line ends in its unit, and interval and count or "assumed". Targets never enter.
        """
        lines = [f"# Fitted and assumed parameters; intervals cover {LEVEL:.0%}.", "", "[world]"]
        lines.append(f"assets = {json.dumps(list(ASSETS))}")
        corr = self.correlation()
        if np.isfinite(corr).all():
            lines.append(f"corr = {json.dumps(corr.round(DIGITS).tolist())}")
        for table in ("world", "flow"):
            for asset in ASSETS:
                lines += self._table(table, asset)
        return "\n".join(lines) + "\n"

    def _table(self, table: str, asset: str) -> list[str]:
        chosen = [
            row
            for row in self.rows
            if (row.table, row.asset) == (table, asset)
            and row.role in (PARAMETER, ASSUMED)
            and not row.name.startswith("corr_")
            and math.isfinite(row.estimate.value)
        ]
        return ["", f"[{table}.{asset}]", *map(_toml_line, chosen)] if chosen else []

    def to_json(self) -> str:
        """Return everything as JSON, numbers to four digits, one row a line.

        Returns
        -------
        str
            Byte-identical for identical files and seed; NaN is null.
        """
        head = {"interval": LEVEL, "seed": self.seed, "files": [_file(file) for file in self.files]}
        rows = ",\n    ".join(json.dumps(_rounded(one)) for one in self._records())
        body = json.dumps(head, indent=2).removesuffix("\n}")
        return f'{body},\n  "rows": [\n    {rows}\n  ]\n}}\n'

    def summary(self) -> str:
        """Return the parameters and targets as a Markdown table, see `markdown_table`."""
        return markdown_table([_rounded(one) for one in self._records()])


def _record(row: Row, sources: dict[str, str]) -> dict[str, object]:
    estimate = row.estimate
    source = sources.get(row.kind, "unknown") if row.kind else "assumed"
    values = (
        row.asset,
        row.table,
        row.name,
        estimate.value,
        estimate.low,
        estimate.high,
        estimate.n,
        row.unit,
        row.role,
        row.target,
        row.market,
        source,
        row.start,
        row.end,
        row.note,
    )
    return dict(zip(COLUMNS, values, strict=True))


def _file(file: FileRecord) -> dict[str, str]:
    return {
        "kind": file.kind,
        "name": file.name,
        "sha256": file.sha256,
        "source": file.source,
    }


def _rounded(record: dict[str, object]) -> dict[str, object]:
    rounded = dict(record)
    for name in ("value", "low", "high"):
        number = record[name]
        assert isinstance(number, float)
        rounded[name] = float(_digits(number)) if math.isfinite(number) else None
    return rounded


def _digits(number: float) -> str:
    return f"{number:.{DIGITS}g}"


def _toml_line(row: Row) -> str:
    estimate = row.estimate
    value = float(_digits(estimate.value))
    if row.role == ASSUMED:
        basis = "assumed"
    else:
        basis = f"{_digits(estimate.low)} to {_digits(estimate.high)}, n = {estimate.n}"
    return f"{row.name} = {value!r}  # " + "; ".join(filter(None, [row.unit, basis, row.note]))


def markdown_table(records: list[dict[str, object]]) -> str:
    """Return rows as a Markdown table: one line a number, grouped by asset.

    Parameters
    ----------
    records : list of dict
        As in the JSON of a result.

    Returns
    -------
    str
        Columns: asset, number, value, 90 % interval, n, unit, role, data, note. Of a file that is
        not behind the reference, the data name it.

    Examples
    --------
    >>> from stressbook.experiments.calibration.assumed import assumed_rows
    >>> text = CalibrationResult(tuple(assumed_rows()[:1]), (), 1).summary()
    >>> print(text.splitlines()[2])
    | BTC | outside_impact_bp_per_musd | 0.3 | | | bp per 1e6 USD | assumed | | as in ... |
    """
    lines = ["| asset | number | value | 90 % interval | n | unit | role | data | note |"]
    lines.append("|---|---|---|---|---|---|---|---|---|")
    for record in records:
        cells = [
            record["asset"],
            record["name"],
            _cell(record["value"]),
            _interval(record),
            record["n"] or "",
            record["unit"],
            " ".join(str(part) for part in (record["role"], record["target"]) if part),
            _data(record),
            record["note"],
        ]
        lines.append("|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|")
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    return "" if value is None else f"{value:.{DIGITS}g}"


def _interval(record: dict[str, object]) -> str:
    if record["low"] is None:
        return ""
    return f"{_cell(record['low'])} to {_cell(record['high'])}"


def _data(record: dict[str, object]) -> str:
    if not record["start"]:
        return ""
    days = str(record["start"])
    if record["end"] != record["start"]:
        days += f" to {record['end']}"
    data = f"{record['market']}, {days}"
    is_public = record["source"] in {kind.source for kind in KINDS.values()}
    return data if is_public else f"{data}, {record['source']}"
