"""A host that has tripped stays tripped until a person has removed the file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from rollout.sources.kill import KillFile
from rollout.sources.trip import HostSwitches, Trip, Tripwire

FOUND = Trip(
    at=1_763_000_000.0, flag="tournament-webhooks", event="payment_verified", kind="address",
    place="data.note", process="web1:42",
)  # fmt: skip


def wire(folder: Path) -> Tripwire:
    """One process's tripwire on this host."""
    return Tripwire(KillFile(str(folder / "kill")))


def test_a_host_without_the_file_has_not_tripped(tmp_path: Path) -> None:
    """And says nothing."""
    tripwire = wire(tmp_path)

    assert (tripwire.state().killed, tripwire.trips()) == (False, ())


def test_a_trip_stops_the_process_and_every_other_of_the_host(tmp_path: Path) -> None:
    """The latch here, the file for those there; the kill file is not touched."""
    here, there = wire(tmp_path), wire(tmp_path)

    written = here.trip(FOUND)

    assert written
    assert here.state().killed and there.state().killed
    assert "personal data was found" in there.state().why
    assert not (tmp_path / "kill").exists()


def test_the_file_says_what_was_found_and_never_what_it_was(tmp_path: Path) -> None:
    """One JSON object a line: kind and place, in the order in which they were found."""
    tripwire = wire(tmp_path)

    tripwire.trip(FOUND)
    tripwire.trip(replace(FOUND, kind="phone"))

    assert tripwire.trips() == (FOUND, replace(FOUND, kind="phone"))
    first = json.loads((tmp_path / "kill.trip").read_text().splitlines()[0])
    assert set(first) == {"at", "flag", "event", "kind", "place", "process"}


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    """The first trip of a new host must not fail for want of a folder."""
    tripwire = wire(tmp_path / "var" / "lib")

    assert tripwire.trip(FOUND)
    assert wire(tmp_path / "var" / "lib").state().killed


def test_a_file_that_cannot_be_written_leaves_the_process_stopped(tmp_path: Path) -> None:
    """A folder that is a file: this process stops all the same, and the caller hears of it."""
    (tmp_path / "file").touch()
    tripwire = Tripwire(KillFile(str(tmp_path / "no" / "kill")))
    (tmp_path / "no").write_text("")

    written = tripwire.trip(FOUND)

    (tmp_path / "no").unlink()
    assert not written
    assert tripwire.state().killed
    assert "in this process: address at data.note" in tripwire.state().why
    assert tripwire.trips() == ()


def test_a_second_trip_whose_file_cannot_be_written_leaves_the_process_stopped(tmp_path: Path) -> None:
    """A person has cleared the first, and nobody has looked since: its file is no sign for the second."""
    folder = tmp_path / "no"
    tripwire = wire(folder)
    tripwire.trip(FOUND)
    (folder / "kill.trip").unlink()
    folder.rmdir()
    folder.write_text("")

    written = tripwire.trip(replace(FOUND, place="data.other"))

    folder.unlink()
    assert not written
    assert tripwire.state().killed
    assert "in this process: address at data.other" in tripwire.state().why


def test_whoever_removes_the_file_clears_every_process(tmp_path: Path) -> None:
    """Also the one that found it."""
    here, there = wire(tmp_path), wire(tmp_path)
    here.trip(FOUND)

    was_there = there.clear()

    assert was_there
    assert not here.state().killed and not there.state().killed
    assert not there.clear()


def test_lines_that_nobody_of_us_wrote_are_left_out(tmp_path: Path) -> None:
    """The file counts by being there; a line that cannot be read hides no other."""
    tripwire = wire(tmp_path)
    tripwire.trip(FOUND)
    with (tmp_path / "kill.trip").open("ab") as file:
        file.write(b'\xff\n[1]\n{"at": "never"}\n{}\n')

    assert tripwire.trips() == (FOUND,)
    assert repr(tripwire).endswith("kill.trip')")


def test_either_file_stops_the_host(tmp_path: Path) -> None:
    """The kill file, the trip file, or both; the kill file is told first."""
    kill = KillFile(str(tmp_path / "kill"))
    switches = HostSwitches(kill)
    states = [switches.state()]

    switches.tripwire.trip(FOUND)
    states.append(switches.state())
    kill.pull()
    states.append(switches.state())

    assert [state.killed for state in states] == [False, True, True]
    assert "personal data" in states[1].why and "personal data" not in states[2].why
