"""Ray cluster: joins or starts one, compares its machines with this one, and runs batches through Ray Data.

It knows nothing about photos: each actor constructs a worker once and calls it with one batch after the other.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pickle
import platform
import re
import socket
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from model_maker.data.streaming import cores
from model_maker.errors import ClusterError, ModelMakerError
from model_maker.system import extras, suppressed_output
from model_maker.version import __version__

# Packages that affect pixels, views and embeddings, to the last bit.
_PACKAGES = ("pillow", "ai-edge-litert", "numpy")
# Shared memory of a Ray instance started here, bytes; small because photos and embeddings do not pass through it.
_OBJECT_STORE_BYTES = 256 << 20
_REACHED_S, _ANSWERED_S = 5, 60
# Start of the log lines that Ray's C++ parts write.
_CPP_LOG = re.compile(rb"\[\d{4}-\d\d-\d\d ")
_NO_TOKEN = "the cluster asks for its token. Set RAY_AUTH_MODE=token, and copy ~/.ray/auth_token from its head node."


@dataclass(frozen=True)
class WorkerMachine:
    """The properties of a machine that affect its embeddings.

    Attributes:
      versions: versions of Python, this package, and packages that affect pixels and embeddings.
      processor: model of the processor; others may round differently.
    """

    name: str
    versions: dict[str, str]
    processor: str

    def differences(self, other: WorkerMachine) -> str:
        """Returns the different versions of another machine; "" without differences."""
        return ", ".join(
            f"{name} {version} instead of {self.versions[name]}"
            for name, version in other.versions.items()
            if version != self.versions[name]
        )


def this_machine() -> WorkerMachine:
    versions = {"python": platform.python_version(), "model-maker": __version__}
    return WorkerMachine(
        platform.node(), versions | {name: metadata.version(name) for name in _PACKAGES}, _processor() or "unknown"
    )


def check_installed() -> None:
    """Raises ClusterError if the extra is missing."""
    if line := extras.lacking("ray", "pyarrow", "pandas", what="`engine='ray'`"):
        raise ClusterError(f"{line}, on every machine of the cluster.")


class Cluster:
    """A cluster that this process has joined, with its number of cores; created by `connected`."""

    def __init__(self, ray: Any):
        self._ray = ray
        self.cpus = max(1, int(ray.cluster_resources().get("CPU", 1)))

    def compare(self, mark: str, see: Callable[[str], str]) -> list[str]:
        """Checks the versions of every node, and that it can read what this machine wrote; returns notes.

        On every node `see` is called with `mark`; it returns the problem there, "" for none.

        Raises:
          ClusterError: a node does not answer, reports a problem, or has other versions.
        """
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here, notes = this_machine(), []
        nodes = [node for node in self._ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
        ask = self._ray.remote(_answer)
        answers = [
            ask.options(
                num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            ).remote(see, mark)
            for node in nodes
        ]
        processors = {}
        for node, answer in zip(nodes, answers, strict=True):
            name = f"The node {node['NodeManagerAddress']} ({node['NodeManagerHostname']})"
            try:
                there, trouble = self._ray.get(answer, timeout=_ANSWERED_S)
            except self._ray.exceptions.GetTimeoutError:
                raise ClusterError(
                    f"{name} has not answered for {_ANSWERED_S} s. Look at it with `ray status`."
                ) from None
            except self._ray.exceptions.RayError as error:
                raise ClusterError(f"{name} cannot work for this machine ({_line(error)}). {_SAME}") from error
            if differences := here.differences(there):
                raise ClusterError(f"{name} has {differences}, and would make other embeddings. {_SAME}")
            if trouble:
                raise ClusterError(f"{name} {trouble}")
            processors[there.processor] = node["NodeManagerHostname"]
        if len(processors) > 1:
            kinds = ", ".join(f"{kind} ({name})" for kind, name in sorted(processors.items()))
            notes.append(
                f"The cluster's processors differ and may round the last bit of an embedding otherwise: {kinds}."
            )
        return notes

    def run(
        self, batches: Sequence[Any], make: Callable[..., Callable[[Any], Any]], arguments: tuple, *, most: int | None
    ) -> Generator[tuple[int, Any], None, None]:
        """Runs batches on workers; batches of a lost machine run again.

        Close the generator before leaving the cluster.

        Args:
          make: called with `arguments` in each worker process; returns a function that maps a batch to JSON types.
          arguments: arguments of `make`, sent once.
          most: maximum number of workers; all cores of the cluster by default.

        Yields:
          (index of the batch, result), in the order of completion.

        Raises:
          ModelMakerError: a worker raised it.
          ClusterError: the cluster failed.
        """
        data = self._ray.data
        rows = [{"number": number, "batch": pickle.dumps(batch)} for number, batch in enumerate(batches)]
        task = self._ray.put((make, arguments, this_machine(), os.getcwd()))
        initial = max(1, min(self.cpus, len(rows), most or self.cpus))
        dataset = data.from_items(rows, override_num_blocks=len(rows)).map(
            _Worker,
            fn_constructor_args=(task,),
            compute=data.ActorPoolStrategy(min_size=1, initial_size=initial, max_size=most),
            num_cpus=1,
        )
        dataset.context.enable_progress_bars = dataset.context.print_on_execution_start = False
        # Not `iter_batches`: its prefetching threads outlive an early exit, and then crash this process.
        bundles: Iterator[Any] = iter(())
        try:
            bundles = dataset.iter_internal_ref_bundles()
            for bundle in bundles:
                for block in self._ray.get(list(bundle.block_refs)):
                    yield from _results(block)
        except self._ray.exceptions.RayError as error:
            raise ClusterError(f"The cluster failed: {_line(error)}. Run the command again.") from error
        finally:
            del bundles  # stops tasks that are still running


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[Cluster]:
    """Joins a cluster, or starts Ray on this machine; on exit, only a Ray instance started here is stopped.

    Args:
      address: "auto" for the cluster that this machine belongs to, or host:port; None for RAY_ADDRESS, else a new Ray
        instance. A process that has already joined a cluster keeps using it.

    Raises:
      ClusterError: Ray is not installed, or nothing answers at the address.
    """
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    _check(address)
    ray = _quiet_ray()
    if ray.is_initialized():
        yield Cluster(ray)
        return
    own = {"num_cpus": cores(), "object_store_memory": _OBJECT_STORE_BYTES, "include_dashboard": False}
    said: list[bytes] = []
    try:
        try:
            with suppressed_output.diverted(lambda line: bool(_CPP_LOG.match(line))) as said:
                ray.init(
                    address, log_to_driver=False, logging_level=logging.CRITICAL, **(own if address == "local" else {})
                )
        except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
            refused = any(b"AuthToken" in line for line in said) or isinstance(
                error, ray.exceptions.AuthenticationError
            )
            reason = _NO_TOKEN if refused else f"{_line(error)}. See docs/SCALING.md."
            raise ClusterError(f"`address={address!r}`: {reason}") from error
        yield Cluster(ray)
    finally:
        ray.shutdown()


def _check(address: str) -> None:
    """Checks that the address answers, because Ray itself tries for minutes."""
    if address.startswith("ray://"):
        raise ClusterError(f"`address={address!r}`: Ray's client cannot do this. Run on a node, with `address='auto'`.")
    host, mark, port = address.rpartition(":")
    if not mark:
        return
    try:
        socket.create_connection((host, int(port)), _REACHED_S).close()
    except (OSError, ValueError, OverflowError) as error:
        raise ClusterError(
            f"`address={address!r}`: nothing answers there ({error}). Start Ray with `ray start --head`, or pass "
            "`address='auto'` on a node of the cluster."
        ) from error


def _quiet_ray() -> Any:
    # Ray reads these on import: they disable usage statistics, and keep the logs of its C++ parts in files.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    import ray
    import ray._private.worker
    import ray.data

    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    # Ray reports lost workers on stdout and has no option for it; stdout is for our output only.
    ray._private.worker._worker_logs_enabled = False
    return ray


def _results(block: Any) -> Iterator[tuple[int, Any]]:
    from ray.data.block import BlockAccessor

    row: Any
    for row in BlockAccessor.for_block(block).iter_rows(public_row_format=True):
        if row["trouble"]:
            raise ClusterError(row["trouble"])
        yield int(row["number"]), json.loads(row["result"])


class _Worker:
    """Runs in an actor: converts rows of batches to rows of results."""

    def __init__(self, task: Any):
        import ray

        make, arguments, there, folder = ray.get(task)
        with contextlib.suppress(OSError):
            os.chdir(folder)  # names of photos may be relative
        # For machines that joined later; the others have already been compared.
        self._trouble = there.differences(here := this_machine())
        if self._trouble:
            self._trouble = f"The node {here.name} has {self._trouble}, and would make other embeddings. {_SAME}"
            return
        self._work = make(*arguments)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        trouble, result = self._trouble, None
        if not trouble:
            try:
                result = self._work(pickle.loads(row["batch"]))  # sent by `run`
            except ModelMakerError as error:
                trouble = str(error)
            except Exception as error:
                # Ray would wrap it in many lines; the traceback stays in its logs.
                logging.exception("A batch failed.")
                trouble = f"A worker on {platform.node()} failed ({type(error).__name__}: {_line(error)}); see its log."
        return {"number": row["number"], "result": json.dumps(result), "trouble": trouble}


_SAME = f"Install the same on every machine: pip install 'model-maker[ray]=={__version__}'."


def _answer(see: Callable[[str], str], mark: str) -> tuple[WorkerMachine, str]:
    return this_machine(), see(mark)


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _line(error: Exception) -> str:
    """Returns the most informative line of an error message: the last, if Ray forwarded it from a worker."""
    lines = (str(error).strip() or type(error).__name__).splitlines()
    return lines[-1 if "Traceback" in lines[0] or lines[0].count("ray::") else 0].strip().rstrip(".")[:300]
