"""A run that is interrupted within a point goes on within it, to the same numbers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import statphys_flows as sf
from statphys_flows import FlowMCMC, Polish, Rounds, Start, StudyInterrupted
from statphys_flows.study import Study
from statphys_flows.study.execution.progress import Progress
from statphys_flows.study.storage import journal
from statphys_flows.study.storage.journal import FileJournal
from statphys_flows.study.storage.parts import parts_folder
from tests.study.test_study import Spring, assert_same_numbers, files


class Impatient(Progress):
    """Interrupts after so many ticks."""

    def __init__(self, patience):
        self.patience, self.messages = patience, []

    def tick(self, message):
        self.messages.append(message)
        if len(self.messages) >= self.patience:
            raise KeyboardInterrupt


SMALL = FlowMCMC(
    chains=16,
    draws=80,
    start=Start(warm_up=20, particles=64),
    rounds=Rounds(most=2, train_steps=5, buffer=64, weighs_cost=False),
    polish=Polish(most=2, steps=2),
)
STUDIES = {
    "a search, and two candidate flows": Study(Spring(), 0.3, sampler=SMALL),
    "an interpolant, polished": Study(sf.LatticePhi4((4, 4), mass_squared=-1.0, coupling=3.0), 1.0, sampler=SMALL),
    "a ladder": Study(Spring(), 0.3, sampler=eqx.tree_at(lambda s: s.ladder, SMALL, sf.Ladder(levels=3))),
    "parallel tempering": Study(Spring(), 0.3, sampler=sf.ParallelTempering(levels=3, chains=16, draws=60, warm_up=20)),
    "local moves": Study(Spring(), 0.3, sampler=sf.LocalMCMC(chains=16, draws=80, warm_up=20)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_interruptions_change_no_number(name, tmp_path):
    """Interrupted again and again, two pieces of work further each time, from the first round on."""
    study, out = STUDIES[name], tmp_path / "study.nc"
    whole = study.run(progress=False)
    ticks = 3
    for attempt in range(30):
        progress = Impatient(ticks)
        try:
            resumed = study.run(out, resume=attempt > 0, progress=progress)
            break
        except StudyInterrupted:
            # What came before is not done again: it ticks no more, the stages that are quick apart.
            ticks = sum("training" not in m and "polishing" not in m for m in progress.messages) + 2
    else:
        pytest.fail("it never ended")
    assert attempt > 3
    assert_same_numbers(whole, resumed)
    assert files(tmp_path) == ["study.nc"]


@pytest.mark.slow
def test_rounds_that_are_on_disk_are_not_run_again(tmp_path):
    study, out = STUDIES["an interpolant, polished"], tmp_path / "study.nc"
    with pytest.raises(StudyInterrupted):
        study.run(out, progress=Impatient(5))
    assert list(parts_folder(out).glob("*.unfinished/rounds_0.state"))
    progress = Impatient(1000)
    study.run(out, resume=True, progress=progress)
    rounds = [m for m in progress.messages if "training" in m or "polishing" in m]
    uninterrupted = Impatient(1000)
    study.run(progress=uninterrupted)
    assert 0 < len(rounds) < len([m for m in uninterrupted.messages if "training" in m or "polishing" in m])


class State(eqx.Module):
    key: jax.Array
    x: jax.Array
    count: int = 3


def test_a_state_comes_back_as_it_was(tmp_path):
    noted = FileJournal(tmp_path / "point")
    state = (State(jax.random.key(7), jnp.arange(3.0)), np.full((2, 3), np.nan))
    noted.save("rounds", state)
    assert not (tmp_path / "point").exists()  # not yet: it is written now and then
    noted.flush()
    like = jax.eval_shape(lambda: State(jax.random.key(0), jnp.zeros(3))), np.zeros((2, 3))
    for shape in (like, (State(jax.random.key(0), jnp.zeros(3)), np.zeros((2, 3)))):
        found, table = FileJournal(tmp_path / "point").load("rounds", lambda shape=shape: shape)
        assert jnp.array_equal(jax.random.key_data(found.key), jax.random.key_data(state[0].key))
        assert found.key.dtype == state[0].key.dtype
        np.testing.assert_array_equal(found.x, state[0].x)
        assert np.isnan(table).all()
    assert noted.load("other", lambda: pytest.fail("asked for a structure in vain")) is None
    noted.remove()
    assert not (tmp_path / "point").exists()


def test_what_gathers_is_written_together(tmp_path, monkeypatch):
    noted = FileJournal(tmp_path / "point")
    noted.save("first", jnp.ones(2))
    monkeypatch.setattr(journal, "SECONDS", 0.0)
    noted.save("second", jnp.ones(2))
    assert files(tmp_path / "point") == ["first.state", "second.state"]


def test_a_damaged_file_is_named_and_set_aside(tmp_path):
    noted = FileJournal(tmp_path / "point")
    noted.save("rounds", jnp.ones(2))
    noted.flush()
    (tmp_path / "point" / "rounds.state").write_bytes(b"no array")
    with pytest.warns(UserWarning, match=r"rounds\.state is damaged: it is set aside as rounds\.state\.set_aside"):
        assert noted.load("rounds", lambda: jnp.ones(2)) is None
    assert noted.load("rounds", lambda: jnp.ones(2)) is None
    assert [path.name for path in (tmp_path / "point").iterdir()] == ["rounds.state.set_aside"]
