"""Tables of runs over seeds: nothing is done twice, a stopped one goes on."""

import numpy as np
import pytest

from benchmarks import seeds


def options(folder, minutes=1):
    return seeds.arguments("", folder).parse_args([f"--budget-minutes={minutes}"])


def key_of(record):
    return record["seed"]


def of_seed(seed, options, until):
    return {"seed": seed, "right": {"clean": 3 + seed}, "clips": 4}


def never(*_):
    pytest.fail("done again")


def test_finished_runs_are_lines_and_not_done_again(tmp_path):
    first = seeds.completed(options(tmp_path), [0, 1], key_of, of_seed)
    assert seeds.completed(options(tmp_path), [0, 1], key_of, never) == first
    more = seeds.completed(options(tmp_path), [0, 1, 2], key_of, of_seed)
    assert more[:2] == first and len(more) == 3


def test_what_the_time_stops_is_no_line(tmp_path, capsys):
    def stopped(seed, options, until):
        return None if seed else of_seed(seed, options, until)

    assert len(seeds.completed(options(tmp_path), [0, 1, 2], key_of, stopped)) == 1
    assert len(seeds.completed(options(tmp_path, 0), [1], key_of, never)) == 1
    assert capsys.readouterr().out.count("time is over") == 2


def test_shares_are_per_cent_of_the_clips():
    records = [of_seed(0, None, 0), of_seed(1, None, 0)]
    assert list(seeds.grouped(records, ["clips"])) == [(4,)]
    found = seeds.shares(records, lambda record: record["right"], "clean")
    assert found == [75.0, 100.0]
    assert seeds.mean(found) == "87.5 ±17.7" and seeds.mean([75.0]) == "75.0"


def test_noise_is_the_same_in_every_run():
    noise_s = np.arange(100.0)
    one_bs = seeds.noises(noise_s, (3, 10))
    np.testing.assert_array_equal(one_bs, seeds.noises(noise_s, (3, 10)))
    np.testing.assert_array_equal(np.diff(one_bs), 1.0)


def test_unknown_names_are_told_with_what_there_is():
    seeds.known(["few"], {"few": 0})
    with pytest.raises(SystemExit, match=r"'fwe'.*there are few"):
        seeds.known(["fwe"], {"few": 0})
