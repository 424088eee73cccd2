import fcntl
import os
from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY

from gatepost.log_output import Output

LINE = "x" * 99 + "\n"


def lost() -> float:
    return REGISTRY.get_sample_value("gatepost_log_lines_lost_total") or 0.0


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe: the end to read from, which does not block, and the one to write to."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    yield reader, writer
    for descriptor in (reader, writer):
        os.close(descriptor)


def test_a_pipe_that_nobody_empties_loses_lines_and_blocks_nobody(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    room = fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ)
    output, before = Output(writer), lost()
    for _ in range(2 * room // len(LINE)):  # were it to wait for each, it would take a minute
        output.write(LINE)
    assert os.get_blocking(writer)  # the others who write there still may block
    through = os.read(reader, 2 * room)
    assert through.count(b"\n") + lost() - before == 2 * room // len(LINE)
    output.write("there is room again\n")
    assert os.read(reader, room) == b"there is room again\n"


def test_a_line_that_was_cut_is_ended_before_the_next(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    room = fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ)
    output, before = Output(writer), lost()
    output.write("y" * (2 * room) + "\n")
    assert lost() == before + 1
    assert os.read(reader, room) == b"y" * room
    output.write(LINE)
    assert os.read(reader, room) == b"\n" + LINE.encode()
    output.write(LINE)
    assert os.read(reader, room) == LINE.encode()


def test_several_lines_are_counted_one_by_one(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    room = fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ)
    output, before = Output(writer), lost()
    lines = 2 * room // len(LINE)
    output.write(LINE * lines)
    through = os.read(reader, room).count(b"\n")
    assert lost() - before == lines - through


def test_a_reader_that_is_gone_is_no_error(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    output, before = Output(writer), lost()
    os.close(reader)
    output.write(LINE)
    assert lost() == before + 1
    os.dup2(writer, reader)  # for the fixture


def test_a_full_disk_is_no_error() -> None:
    with open("/dev/full", "wb", buffering=0) as full:
        before = lost()
        Output(full.fileno()).write(LINE)
        assert lost() == before + 1


def test_a_closed_descriptor_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    os.close(writer)
    Output(writer).write(LINE)


def test_what_no_encoding_has_is_written_all_the_same(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    Output(writer).write("\udcff ü\n")
    assert os.read(reader, 100) == b"\\udcff \xc3\xbc\n"
