"""A CSV file as columns of numbers, with errors that name the line."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.errors import LogError
from px4_tinyml.flight_log import F64


def text_lines(data: bytes, where: str) -> list[str]:
    """UTF-8 text as lines without CRLF or LF. Raises LogError for other text."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LogError(f"{where}: not UTF-8 text (byte {error.start} is {data[error.start]:#04x})") from error
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def header_line(head: bytes) -> str:
    """The first line of a text file from its first bytes; empty for anything but text."""
    try:
        header = head.split(b"\n", 1)[0].decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        return ""
    return "" if any(c < " " and c != "\t" for c in header) else header


def numbers(rows: list[str], width: int, delimiter: str, where: str, first_line: int) -> F64:
    """Rows of `width` numbers each as an array [N, width]. Raises LogError with the line of a bad row."""
    try:
        table: F64 = np.loadtxt(io.StringIO("\n".join(rows)), delimiter=delimiter, ndmin=2, comments=None)
        if table.shape == (len(rows), width):
            return table
    except ValueError:
        pass
    for index, row in enumerate(rows):
        cells = row.split(delimiter)
        if len(cells) != width:
            raise LogError(f"{where}, line {first_line + index}: {len(cells)} columns found, {width} expected")
        for cell in cells:
            try:
                float(cell)
            except ValueError as error:
                raise LogError(f"{where}, line {first_line + index}: {cell!r} is not a number") from error
    raise LogError(f"{where}: its {len(rows)} rows are not a table of {width} numeric columns")


@dataclass
class Table:
    """Named columns of text cells[N][len(names)]. warnings: notes on dropped lines."""

    names: list[str]
    cells: list[list[str]]
    where: str
    warnings: list[str]

    @classmethod
    def read(cls, data: bytes, where: str, delimiter: str = ",") -> Table:
        """Header line and rows. A last line without its end may be truncated: it is dropped with a warning."""
        lines = text_lines(data, where)
        warnings = []
        tail = lines.pop()
        if tail:
            warnings.append("the last line has no end: perhaps truncated, dropped")
        names = [n.strip().strip('"') for n in lines[0].split(delimiter)] if lines else []
        rows = []
        for number, line in enumerate(lines[1:], start=2):
            if not line.strip():
                continue
            cells = line.split(delimiter)
            if len(cells) != len(names):
                raise LogError(f"{where}, line {number}: {len(cells)} columns found, {len(names)} expected")
            rows.append(cells)
        if not rows:
            raise LogError(f"{where}: a header but no rows; rows of {len(names)} columns expected")
        return cls(names, rows, where, warnings)

    def __len__(self) -> int:
        return len(self.cells)

    def texts(self, name: str) -> list[str]:
        """One column as text."""
        index = self.names.index(name)
        return [row[index].strip() for row in self.cells]

    def column(self, name: str, dtype: Any = np.float64) -> NDArray[Any]:
        """One column as numbers; integers stay exact with an integer dtype."""
        try:
            return np.array(self.texts(name), dtype=dtype)
        except (ValueError, OverflowError):
            for row, text in enumerate(self.texts(name)):
                try:
                    float(text)
                except ValueError as error:
                    raise LogError(f"{self.where}, row {row + 1}: {name} is {text!r}, a number expected") from error
        return np.array([float(t) for t in self.texts(name)]).astype(dtype)
