"""Ray's engine on a cluster of two nodes in local processes."""

import os
import pathlib

import drive
import pytest

from zoo.errors import UserError
from zoo.scheduling import driver, host, jobs, on_ray
from zoo.scheduling.progress import Progress
from zoo.scheduling.tries import Tries

# Before Ray is imported: a lost node is noticed soon, a slow machine is given time.
os.environ.update(
    RAY_health_check_initial_delay_ms="1000",
    RAY_health_check_period_ms="1000",
    RAY_health_check_timeout_ms="3000",
    RAY_health_check_failure_threshold="3",
    RAY_raylet_start_wait_time_s="120",
    RAY_USAGE_STATS_ENABLED="0",
)
ray = pytest.importorskip("ray", reason="the extra ray is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")
FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures"


@pytest.fixture(scope="module")
def cluster():
    """A head without cores, on the loopback interface alone, and what a node of it is given."""
    from ray.cluster_utils import Cluster

    common = {"object_store_memory": 80 << 20, "node_ip_address": drive.LOOPBACK}
    head = {"num_cpus": 0, "include_dashboard": False, **common}
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("PYTHONPATH", f"{FIXTURES}{os.pathsep}{FIXTURES.parents[1]}")
        drive.keep_ray_to_loopback(monkeypatch.setattr)
        made = Cluster(initialize_head=True, head_node_args=head)
        yield made, common
        made.shutdown()


@pytest.fixture
def nodes(cluster):
    """Two nodes of one core."""
    made, common = cluster
    while len(made.worker_nodes) < 2:
        made.add_node(num_cpus=1, **common)
    return sorted(made.worker_nodes, key=id)


def _steps(job: jobs.Job) -> pathlib.Path:
    return job.folder / "checkpoints" / "steps"


@pytest.mark.usefixtures("nodes")
def test_two_drivers_on_one_table_share_it(stub, cluster, driver_process, printed_states, calls):
    table = [stub(f"run{k}", "sleep=0.5") for k in range(8)]
    ray_there = {"engine": "ray", "where": cluster[0].address}
    pair = [driver_process(t, **ray_there) for t in (table, table[::-1])]
    assert all(set(printed_states(process).values()) == {"done"} for process in pair)
    assert [len(calls(job)) for job in table] == [1] * len(table)


@pytest.mark.usefixtures("nodes")
def test_another_driver_goes_on_where_one_was_killed(
    stub, cluster, driver_process, printed_states, calls, wait_until
):
    table = [stub(f"run{k}", "sleep=3") for k in range(4)]
    ray_there = {"workers": 2, "engine": "ray", "where": cluster[0].address}
    killed = driver_process(table, **ray_there)
    # The first two are done, the other two have begun.
    wait_until(lambda: all(_steps(job).exists() for job in table), 120)
    killed.kill()
    assert set(printed_states(driver_process(table, **ray_there)).values()) == {"done"}
    done = [len(calls(job)) for job in table]
    assert done[:2] == [1, 1] and max(done) == 2
    assert not any((job.folder / Tries.FILE).exists() for job in table)


def test_every_run_is_done_once_though_a_node_is_lost(stub, cluster, nodes, calls, monkeypatch):
    made, _ = cluster
    table = [stub(f"run{k}", "sleep=1") for k in range(4)] + [stub("killed", "once", "kill")]
    lost = []

    def lose(states) -> None:
        if not lost and all(_steps(job).exists() for job in table[:2]):
            lost.append(nodes[1])
            made.remove_node(nodes[1], allow_graceful=False)

    progress = Progress()
    monkeypatch.setattr(progress, "show", lose)
    work = host.Work(jobs.dump(table), lease=60.0, threads=1)
    engine = on_ray.Ray(made.address, 2, len(table), 1, {"_node_ip_address": drive.LOOPBACK})
    assert set(driver.drive(table, engine, work, progress).values()) == {"done"}
    assert lost
    done = [len(calls(job)) for job in table]
    assert done[2:4] == [1, 1] and done[4] == 2 and sum(done[:2]) <= 3


def test_an_address_that_refuses_is_a_line(stub):
    engine = on_ray.Ray("127.0.0.1:1", 1, 1, 1)
    with pytest.raises(UserError, match="--address=127.0.0.1:1: nothing answers there"):
        engine.start(host.Work(jobs.dump([stub("a")])))
