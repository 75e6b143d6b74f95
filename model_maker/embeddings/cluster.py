"""A Ray cluster: joined or started, its machines compared with this one, batches sent through Ray Data; all quietly.

It knows nothing of photos: a worker is made once in each actor and called with one batch after the other.
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

# What decides about pixels, views and embeddings, to the last bit.
_PACKAGES = ("pillow", "ai-edge-litert", "numpy")
# Shared memory of a Ray that is started here, bytes: photos and embeddings do not pass through it.
_OBJECT_STORE_BYTES = 256 << 20
_REACHED_S, _ANSWERED_S = 5, 60
# How the lines begin that Ray's C++ parts write on their own.
_CPP_LOG = re.compile(rb"\[\d{4}-\d\d-\d\d ")
_NO_TOKEN = "the cluster asks for its token. Set RAY_AUTH_MODE=token, and copy ~/.ray/auth_token from its head node."


@dataclass(frozen=True)
class Machine:
    """What of a machine decides about the embeddings that it computes.

    Attributes:
      name: of the host.
      versions: of Python, this package, and those that make pixels and embeddings.
      processor: another kind may round otherwise.
    """

    name: str
    versions: dict[str, str]
    processor: str

    def differences(self, other: Machine) -> str:
        """Returns what another machine has in other versions, "" where there is nothing."""
        return ", ".join(
            f"{name} {version} instead of {self.versions[name]}"
            for name, version in other.versions.items()
            if version != self.versions[name]
        )


def this_machine() -> Machine:
    versions = {"python": platform.python_version(), "model-maker": __version__}
    return Machine(
        platform.node(), versions | {name: metadata.version(name) for name in _PACKAGES}, _processor() or "unknown"
    )


def check_installed() -> None:
    """Raises ClusterError where the extra is missing."""
    if line := extras.lacking("ray", "pyarrow", "pandas", what="`engine='ray'`"):
        raise ClusterError(f"{line}, on every machine of the cluster.")


class Cluster:
    """A cluster that this process has joined; `connected` makes it.

    Attributes:
      cpus: cores that it counts.
    """

    def __init__(self, ray: Any):
        self._ray = ray
        self.cpus = max(1, int(ray.cluster_resources().get("CPU", 1)))

    def compare(self, mark: str, see: Callable[[str], str]) -> list[str]:
        """Asks every node what it has, and whether it sees what this machine wrote.

        Args:
          mark: what `see` is called with on every node.
          see: says what is wrong there, "" for nothing.

        Returns:
          Notes, one sentence each.

        Raises:
          ClusterError: a node does not answer, lacks something, or has other versions.
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
        """Sends batches through workers; what was on a machine that is lost is sent again.

        Close it before leaving the cluster.

        Args:
          batches: each anything that can be pickled.
          make: called with `arguments` in each worker process; what it returns maps a batch to plain JSON.
          arguments: sent once.
          most: how many workers at a time; as many as the cluster has cores for unless told.

        Yields:
          (index of the batch, result), as they are finished.

        Raises:
          ModelMakerError: what a worker raised.
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
        # Not through its batches: threads that prefetch them outlive an early end, and then bring this process down.
        bundles: Iterator[Any] = iter(())
        try:
            bundles = dataset.iter_internal_ref_bundles()
            for bundle in bundles:
                for block in self._ray.get(list(bundle.block_refs)):
                    yield from _results(block)
        except self._ray.exceptions.RayError as error:
            raise ClusterError(f"The cluster failed: {_line(error)}. Run the command again.") from error
        finally:
            del bundles  # which ends whatever is still running


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[Cluster]:
    """Joins a cluster, or starts Ray on this machine; on leaving, only what was started here is ended.

    Args:
      address: "auto" for the one that this machine is a node of, or host:port; None for RAY_ADDRESS or a Ray of our
        own. A process that has joined one already stays with it.

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
    """Looks whether anything answers, for Ray itself tries for minutes."""
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
    # Read when Ray is imported: no statistics are sent, and what its C++ parts say stays in its log files.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    import ray
    import ray._private.worker
    import ray.data

    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    # Lost workers are reported on stdout, which has no switch; it is ours alone.
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
    """What runs in an actor: rows of batches become rows of results."""

    def __init__(self, task: Any):
        import ray

        make, arguments, there, folder = ray.get(task)
        with contextlib.suppress(OSError):
            os.chdir(folder)  # names of photos may be relative
        # Of machines that came later; the others have been compared before.
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
                # Ray would wrap it in many lines; the trace is kept where its logs are.
                logging.exception("A batch failed.")
                trouble = f"A worker on {platform.node()} failed ({type(error).__name__}: {_line(error)}); see its log."
        return {"number": row["number"], "result": json.dumps(result), "trouble": trouble}


_SAME = f"Install the same on every machine: pip install 'model-maker[ray]=={__version__}'."


def _answer(see: Callable[[str], str], mark: str) -> tuple[Machine, str]:
    return this_machine(), see(mark)


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _line(error: Exception) -> str:
    """Returns the line of an error's message that tells most: of one that Ray brings from elsewhere, the last."""
    lines = (str(error).strip() or type(error).__name__).splitlines()
    return lines[-1 if "Traceback" in lines[0] or lines[0].count("ray::") else 0].strip().rstrip(".")[:300]
