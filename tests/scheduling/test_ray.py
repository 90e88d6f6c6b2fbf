"""Ray's engine on a cluster of two nodes in local processes."""

import os
import pathlib

import pytest

from zoo.errors import UserError
from zoo.scheduling import driver, host, jobs, on_ray
from zoo.scheduling.progress import Progress

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
LOOPBACK = "127.0.0.1"


@pytest.fixture
def cluster(monkeypatch):
    """A head without cores and two nodes of one core, on the loopback interface alone."""
    from ray._private import services
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", f"{FIXTURES}{os.pathsep}{FIXTURES.parents[1]}")
    monkeypatch.setattr(services, "resolve_ip_for_localhost", lambda address: address)
    for module in (services, ray.util):
        monkeypatch.setattr(module, "get_node_ip_address", lambda *_, **__: LOOPBACK)
    common = {"object_store_memory": 80 << 20, "node_ip_address": LOOPBACK}
    head = {"num_cpus": 0, "include_dashboard": False, **common}
    made = Cluster(initialize_head=True, head_node_args=head)
    nodes = [made.add_node(num_cpus=1, **common) for _ in range(2)]
    yield made, nodes
    made.shutdown()


def test_every_run_is_done_once_though_a_node_is_lost(
    stub, cluster, calls, wait_until, monkeypatch
):
    made, nodes = cluster
    table = [stub(f"run{k}", "sleep=1") for k in range(4)] + [stub("killed", "once", "kill")]
    lost = []

    def lose(states) -> None:
        steps = [job.folder / "checkpoints" / "steps" for job in table[:2]]
        if not lost and all(step.exists() for step in steps):
            lost.append(nodes[1])
            made.remove_node(nodes[1], allow_graceful=False)

    progress = Progress()
    monkeypatch.setattr(progress, "show", lose)
    work = host.Work(jobs.dump(table), lease=60.0, threads=1)
    engine = on_ray.Ray(made.address, 2, len(table), 1, {"_node_ip_address": LOOPBACK})
    assert set(driver.drive(table, engine, work, progress).values()) == {"done"}
    assert lost
    done = [len(calls(job)) for job in table]
    assert done[2:4] == [1, 1] and done[4] == 2 and sum(done[:2]) <= 3


def test_an_address_that_refuses_is_a_line(stub):
    engine = on_ray.Ray("127.0.0.1:1", 1, 1, 1)
    with pytest.raises(UserError, match="--address=127.0.0.1:1: nothing answers there"):
        engine.start(host.Work(jobs.dump([stub("a")])))
