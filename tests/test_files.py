"""Files appear whole or not at all."""

import errno
import fcntl
import os
import tempfile

import pytest

from cspkeras.files import hold, replacing


@pytest.mark.parametrize("before", (None, "old"))
def test_the_file_appears_when_the_block_ends(tmp_path, before):
    path = tmp_path / "new" / "folder" / "file.txt"
    if before:
        path.parent.mkdir(parents=True)
        path.write_text(before)
    with replacing(path) as aside:
        assert aside.name == path.name and aside != path
        aside.write_text("whole")
        assert not path.exists() if before is None else path.read_text() == before
    assert path.read_text() == "whole"
    assert [file.name for file in path.parent.iterdir()] == ["file.txt"]


@pytest.mark.parametrize("error", (ValueError, KeyboardInterrupt))
def test_an_error_leaves_what_was_there(tmp_path, error):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(error), replacing(path) as aside:
        aside.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["file.txt"]


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), replacing(path):
        pass
    assert path.read_text() == "old"


def test_others_may_read_the_file(tmp_path):
    with replacing(tmp_path / "file.txt") as aside:
        aside.write_text("whole")
    (tmp_path / "plain.txt").write_text("whole")
    assert (tmp_path / "file.txt").stat().st_mode == (tmp_path / "plain.txt").stat().st_mode


@pytest.mark.parametrize(
    "name, error, message",
    (
        ("folder", IsADirectoryError, "folder: is a folder, expected the name of a file to write"),
        ("file/new.txt", NotADirectoryError, "file: is not a folder, expected one to write new.txt into"),
        ("file/deeper/new.txt", NotADirectoryError, "file/deeper: is not a folder, expected one to write new.txt into"),
    ),
)
def test_impossible_places(tmp_path, name, error, message):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(error, match=f"^{tmp_path}/{message}$"), replacing(tmp_path / name):
        pytest.fail("nothing can be written there")


def test_what_a_killed_process_left_is_cleared(tmp_path):
    """And what another one is writing, or a folder of the user's, stays."""
    path = tmp_path / "file.txt"
    for name in (".file.txt.dead1234.unfinished", ".other.txt.dead1234.unfinished", ".file.txt.notes"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file.txt").write_text("half")
    with replacing(path) as other:
        other.write_text("another's")
        with replacing(path) as aside:
            aside.write_text("whole")
            assert sorted(tmp_path.iterdir()) == sorted(
                (aside.parent, other.parent, tmp_path / ".other.txt.dead1234.unfinished", tmp_path / ".file.txt.notes")
            )
        assert path.read_text() == "whole"
    assert path.read_text() == "another's"
    assert {one.name for one in tmp_path.iterdir()} == {"file.txt", ".other.txt.dead1234.unfinished", ".file.txt.notes"}


def test_a_folder_is_held_once(tmp_path):
    held = hold(tmp_path)
    with pytest.raises(BlockingIOError):
        hold(tmp_path)
    os.close(held)
    os.close(hold(tmp_path))


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    """Files are written there too; what may be another process's stays."""

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    (left := tmp_path / ".file.txt.dead1234.unfinished").mkdir()
    with replacing(tmp_path / "file.txt") as aside:
        aside.write_text("whole")
    assert sorted(tmp_path.iterdir()) == [left, tmp_path / "file.txt"]
    os.close(hold(tmp_path))


def test_a_folder_that_another_takes_for_a_dead_ones_is_made_again(tmp_path, monkeypatch):
    made, real = [], tempfile.mkdtemp

    def taken(**options):
        made.append(real(**options))
        if len(made) == 1:
            os.rmdir(made[0])
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", taken)
    with replacing(tmp_path / "file.txt") as aside:
        aside.write_text("whole")
    assert len(made) == 2 and [one.name for one in tmp_path.iterdir()] == ["file.txt"]
