"""CSV files as tables of numbers, and the sentence about each that is none."""

from __future__ import annotations

import numpy as np
import pytest

from gpucore.data import read_table
from gpucore.errors import ConfigError, FormatError


@pytest.fixture
def write(tmp_path):
    def make(text, encoding="utf-8"):
        path = tmp_path / "table.csv"
        path.write_bytes(text.encode(encoding) if isinstance(text, str) else text)
        return path

    return make


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_cells_may_be_parted_in_four_ways(write, delimiter):
    table = read_table(write(f"a{delimiter}b\n1{delimiter}2.5\n-3e2{delimiter} 4 \n"))
    assert table.names == ("a", "b")
    np.testing.assert_array_equal(table.values, [[1, 2.5], [-300, 4]])
    np.testing.assert_array_equal(table.columns(["b", "a"]), [[2.5, 1], [4, -300]])
    assert len(table) == 2


def test_quotes_marks_of_byte_order_and_windows_lines(write):
    table = read_table(write('\ufeff"a, b",c\r\n"1",2\r\n\r\n3,4\r\n'))
    assert table.names == ("a, b", "c")
    np.testing.assert_array_equal(table.values, [[1, 2], [3, 4]])


def test_a_file_of_numbers_alone_gets_names(write):
    table = read_table(write("1,2\n3,4\n"))
    assert table.names == ("x1", "x2")
    assert len(table) == 2


def test_columns_can_be_left_out_or_chosen(write):
    path = write("date,a,b,c\n2020-01-01,1,2,3\n2020-01-02,4,5,6\n")
    assert read_table(path, drop=["date"]).names == ("a", "b", "c")
    chosen = read_table(path, only=["c", "a"])
    assert chosen.names == ("c", "a")
    np.testing.assert_array_equal(chosen.values, [[3, 1], [6, 4]])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a,b\n1,2\n3,\n", "line 3, column 'b' is empty"),
        ("a,b\n1,2\n3,red\n", "line 3, column 'b' holds 'red'"),
        ("a,b\n1,2\nnan,1\n", "line 3, column 'a' holds 'nan'"),
        ("a,b\n1,2\n1_000,1\n", "line 3, column 'a' holds '1_000'"),
        ("a,b\n1,inf\n", "line 2, column 'b' holds 'inf'"),
        ("a,b\n1,2\n\n1,2,3\n", "line 4 has 3 cells; wants 2"),
        ("a,b\n1\n", "line 2 has 1 cells; wants 2"),
        ("a,a\n1,2\n", "two columns have the name 'a'"),
        ("a,\n1,2\n", "column 2 has no name"),
        ("a,b\n", "has a line of names and no rows"),
        ("", "is empty"),
        ("\n \n", "is empty"),
        (b"\xff\xfe\x00\x01", "is no UTF-8 text"),
        ("a,b\n1,\0\n", "is no text"),
        ('a,b\n"1,2\n', "cannot be read"),
    ],
)
def test_bad_files_are_named_by_line_and_column(write, text, sentence):
    path = write(text)
    with pytest.raises(FormatError, match=r"table\.csv") as caught:
        read_table(path)
    assert sentence in str(caught.value)


def test_missing_files_and_columns(write, tmp_path):
    with pytest.raises(FormatError, match="there is no such file"):
        read_table(tmp_path / "none.csv")
    path = write("a,b\n1,2\n")
    with pytest.raises(ConfigError, match="there is no column 'c'; wants one of a, b"):
        read_table(path, drop=["c"])
    with pytest.raises(ConfigError, match="there is no column 'c'"):
        read_table(path).columns(["c"])
    with pytest.raises(ConfigError, match="every column is left out"):
        read_table(path, drop=["a", "b"])
