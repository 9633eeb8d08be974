"""The processes of a training: one, or as many as ``torchrun`` started, each with its device."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import signature

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

_SYNC_BUFFERS = (  # newer releases of torch call it by the first name, and warn of the second
    "forward_sync_buffers"
    if "forward_sync_buffers" in signature(DistributedDataParallel.__init__).parameters
    else "broadcast_buffers"
)
_LAUNCHED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # what torchrun tells each process


@dataclass(frozen=True)
class Processes:
    """This process among those that train together; the first one writes and speaks."""

    rank: int
    count: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def share(self, model: nn.Module) -> nn.Module:
        """`model` with its gradients averaged over the processes after each backward pass; alone, the model itself."""
        if self.count == 1:
            return model
        return DistributedDataParallel(model, **{_SYNC_BUFFERS: False})

    def mean(self, values: Mapping[str, float]) -> dict[str, float]:
        """The mean of each value over the processes, which all have the same names in the same order."""
        if self.count == 1:
            return dict(values)
        sums = torch.tensor(list(values.values()), dtype=torch.float64, device=self.device)
        distributed.all_reduce(sums)
        return dict(zip(values, (sums / self.count).tolist(), strict=True))

    @torch.no_grad()
    def average_statistics(self, model: nn.Module) -> None:
        """Give every process the mean of the running statistics that each gathered from its own images.

        They are running means, and training does not use them: when this happens changes no later mean over processes.
        """
        if self.count > 1:
            for buffer in model.buffers():
                if buffer.is_floating_point():
                    distributed.all_reduce(buffer)
                    buffer.div_(self.count)

    def wait(self) -> None:
        """Return when all processes have come here."""
        if self.count > 1:
            distributed.barrier()


def device_named(name: str | None) -> torch.device:
    """The device to compute on; without a name the GPU if there is one.

    Raises
    ------
    ValueError
        If there is no such device.

    Examples
    --------
    >>> device_named("cpu")
    device(type='cpu')
    """
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        if device.type not in ("cpu", "cuda"):  # torch knows others, one of them without numbers in its tensors
            raise RuntimeError("no other kind is known to work")
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch raises both for a device that is absent
        reason = str(error).splitlines()[0]
        raise ValueError(f"--device {name} cannot be used: expected cpu, cuda or cuda:0 ({reason})") from error
    return device


@contextmanager
def joined_processes(device: str | None = None) -> Iterator[Processes]:
    """The processes that torchrun started, connected within the block; without torchrun this process alone.

    Parameters
    ----------
    device : cpu, cuda or cuda:N; None takes the GPU of the process's local number, or the CPU without GPUs

    Raises
    ------
    ValueError
        If the device is absent, or there are fewer GPUs than processes on this machine.
    """
    if any(name not in os.environ for name in _LAUNCHED):
        yield Processes(0, 1, device_named(device))
        return
    chosen = _device_of_local_process(device_named(device))
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    yield Processes(distributed.get_rank(), distributed.get_world_size(), chosen)
    distributed.destroy_process_group()  # not after an error: it would wait for processes that wait for this one


def _device_of_local_process(device: torch.device) -> torch.device:
    """The GPU of this process among those of its machine; the CPU serves all."""
    if device.type != "cuda":
        return device
    number, there_are = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if device.index is not None or number >= there_are:
        raise ValueError(
            f"each process needs a GPU of its own: process {number} on a machine with {there_are}; "
            "start as many as there are GPUs, with --device cuda or none"
        )
    return torch.device("cuda", number)
