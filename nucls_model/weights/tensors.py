"""Named tensors on disk: safetensors written whole, checkpoints read without running what they hold.

Nothing here downloads, and nothing unpickles: a file is safetensors, or a torch state dict read with ``weights_only``.
"""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from zipfile import BadZipFile, ZipFile, is_zipfile

import torch
from torch import Tensor, nn

from crowdtruth.files import atomic_write, sha256_of
from crowdtruth.parallel import say
from crowdtruth.problems import quoted

_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"  # how a torch archive and a pickle begin


def write_tensors(tensors: Mapping[str, Tensor], path: str | Path) -> str:
    """Write named tensors as safetensors; the file appears whole, and equal tensors give equal bytes.

    Parameters
    ----------
    tensors : name -> tensor of any shape, on any device; two names may share one memory
    path : file to write; its folder must exist

    Returns
    -------
    str
        SHA-256 of the file.

    Raises
    ------
    WriteError
        If the file cannot be written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = write_tensors({"a": torch.arange(3)}, Path(folder, "a.safetensors"))
    ...     read_tensors(Path(folder, "a.safetensors"))
    {'a': tensor([0, 1, 2])}
    """
    from safetensors.torch import save

    content, seen = {}, set()
    for name, tensor in tensors.items():
        plain = tensor.detach().cpu().contiguous()
        content[name] = plain.clone() if plain.data_ptr() in seen else plain  # the format knows no shared memory
        seen.add(plain.data_ptr())
    with atomic_write(path) as handle:
        handle.write(save(content, metadata={"format": "pt"}))
    return sha256_of(path)


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """The named tensors of a safetensors file, or of a torch state dict; no code in the file is run.

    Parameters
    ----------
    path : file ending in ``.safetensors``; any other suffix is read as what ``torch.save(module.state_dict())`` writes

    Returns
    -------
    dict
        Name -> tensor on the CPU.

    Raises
    ------
    ValueError
        If there is no such file, it is cut off, holds a pickle of something else, or anything but named tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: expected a file of weights, there is none")
    return _read_safetensors(path) if path.suffix == ".safetensors" else _read_state_dict(path)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    """Name -> tensor of a safetensors file."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        with path.open("rb") as handle:
            start = handle.read(4)
        other = start == _ZIP or start[:1] == _PICKLE
        is_like = "a torch archive or a pickle under that name" if other else "cut off or damaged"
        raise ValueError(f"{path}: expected a whole safetensors file, this one is {is_like} ({error})") from error


def _read_state_dict(path: Path) -> dict[str, Tensor]:
    """Name -> tensor of a torch state dict."""
    expected = f"{path}: expected a torch state dict (names and tensors alone) or a file ending in .safetensors"
    if is_zipfile(path) and _unpacked(path) > path.stat().st_size:
        raise ValueError(f"{expected}; this one unpacks to more than its own size, which torch never writes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's advice on old formats is not for who only reads
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # what a damaged or foreign file raises is anything
            reason = str(error).strip().split("\n")[0] or type(error).__name__
            raise ValueError(
                f"{expected}; this one is cut off, damaged, or holds objects, which are never unpickled "
                f"({type(error).__name__}: {reason})"
            ) from error
    if not isinstance(content, Mapping) or not content:
        raise ValueError(f"{expected}; this one holds {type(content).__name__}")
    if others := [str(name) for name, value in content.items() if not isinstance(value, Tensor)]:
        raise ValueError(f"{expected}; in this one {quoted(others)} hold no tensor: save the state dict alone")
    return {str(name): tensor for name, tensor in content.items()}


def _unpacked(path: Path) -> int:
    """Bytes that the entries of a zip archive say they have, without unpacking; 0 where it is no whole archive."""
    try:
        with ZipFile(path) as archive:
            return sum(entry.file_size for entry in archive.infolist())
    except (BadZipFile, OSError, ValueError):
        return 0


def save_weights(module: nn.Module, path: str | Path) -> str:
    """Write parameters and buffers of a module as safetensors; the SHA-256 of the file is returned.

    Raises
    ------
    WriteError
        If the file cannot be written.
    """
    return write_tensors(module.state_dict(), path)


def load_weights(module: nn.Module, path: str | Path) -> str:
    """Give a module the weights of a file; every name and shape must fit. The checksum is said and returned.

    Parameters
    ----------
    module : filled in place, on the device it is on
    path : see `read_tensors`

    Raises
    ------
    ValueError
        If the file is none of weights, or names, shapes or values are not what the module needs; nothing is changed.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.safetensors")
    ...     saved = save_weights(nn.Linear(2, 3), path)
    ...     saved == load_weights(nn.Linear(2, 3), path)
    True
    """
    tensors = read_tensors(path)
    check_tensors(tensors, module.state_dict(), str(path))
    module.load_state_dict(tensors)
    return _told(Path(path), len(tensors))


def load_backbone(backbone: nn.Module, path: str | Path) -> str:
    """Give a residual backbone the weights of an ImageNet classifier, in torchvision's parameter names.

    The classifier's last layer (``fc.*``) and stages that the backbone does not have are left out, which is said.
    Checkpoints older than batch counters (``num_batches_tracked``) are taken: the counters stay as they are.

    Parameters
    ----------
    backbone : module with parameters ``conv1.weight``, ``bn1.weight``, ``layer1.0.conv1.weight``, …; filled in place
    path : see `read_tensors`

    Returns
    -------
    str
        SHA-256 of the file, which is also said.

    Raises
    ------
    ValueError
        As `load_weights`; for instance if the file is of a ResNet of another depth.
    """
    tensors, expected = read_tensors(path), backbone.state_dict()
    stages = {name.split(".")[0] for name in expected}
    unused = [name for name in tensors if _is_unused(name.split(".")[0], stages)]
    counters = {name: value for name, value in expected.items() if name.endswith("num_batches_tracked")}
    taken = counters | {name: value for name, value in tensors.items() if name not in unused}
    check_tensors(taken, expected, str(path))
    backbone.load_state_dict(taken)
    if unused:
        say(f"{path}: {len(unused)} tensors are not the backbone's and are left out: {quoted(unused)}")
    return _told(Path(path), len(tensors) - len(unused))


def _is_unused(part: str, stages: set[str]) -> bool:
    """Whether a part of a classifier has no place in a backbone with these parts."""
    return part == "fc" or (part.startswith("layer") and part not in stages)


def _told(path: Path, n_tensors: int) -> str:
    """The checksum of a file, after it was said."""
    checksum = sha256_of(path)
    say(f"weights: {n_tensors} tensors of {path}, SHA-256 {checksum}")
    return checksum


def check_tensors(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], name: str) -> None:
    """Refuse tensors that are not those expected, by name, shape, kind of number, or because they are not finite.

    Parameters
    ----------
    tensors : name -> tensor, as they were read
    expected : name -> tensor, as they should be
    name : what the message calls the file

    Raises
    ------
    ValueError
        One message: what is missing, what is not expected, which shapes differ.

    Examples
    --------
    >>> check_tensors({"a": torch.zeros(2)}, {"a": torch.zeros(3)}, "w.pth")
    Traceback (most recent call last):
    ValueError: w.pth does not fit the model: 1 of 1 tensors have another shape: 'a' (expected (3,), got (2,))
    """
    both = [key for key in expected if key in tensors]
    if odd := [key for key in both if not _is_plain(tensors[key])]:
        raise ValueError(
            f"{name}: expected tensors of plain numbers; {quoted(odd)} are sparse, quantised, 8-bit or without values"
        )
    shapes = [
        f"{key!r} (expected {tuple(expected[key].shape)}, got {tuple(tensors[key].shape)})"
        for key in both
        if expected[key].shape != tensors[key].shape
    ]
    kinds = [key for key in both if expected[key].is_floating_point() != tensors[key].is_floating_point()]
    problems = [
        _problem("are missing", quoted([key for key in expected if key not in tensors]), expected, tensors),
        _problem("are not the model's", quoted([key for key in tensors if key not in expected]), tensors, expected),
        f"{len(shapes)} of {len(expected)} tensors have another shape: {_first(shapes)}" if shapes else "",
        f"{quoted(kinds)} hold another kind of number" if kinds else "",
    ]
    if any(problems):
        raise ValueError(f"{name} does not fit the model: " + "; ".join(filter(None, problems)))
    if wrong := [key for key in both if not bool(torch.isfinite(tensors[key]).all())]:
        raise ValueError(f"{name}: every weight must be a finite number; {quoted(wrong)} hold others")


def _is_plain(tensor: Tensor) -> bool:
    """Whether a tensor has numbers that arithmetic is defined for."""
    is_strided = tensor.layout == torch.strided and not (tensor.is_meta or tensor.is_quantized or tensor.is_nested)
    return is_strided and (tensor.dtype in _FLOATS or not tensor.is_floating_point())


def _problem(words: str, names: str, of: Iterable[str], beside: Mapping[str, Tensor]) -> str:
    """How many of these tensors are not beside the others, and which; "" if all are."""
    keys = list(of)
    n_absent = sum(key not in beside for key in keys)
    return f"{n_absent} of {len(keys)} tensors {words}: {names}" if n_absent else ""


def _first(entries: Sequence[str], limit: int = 4) -> str:
    """The first few entries, and how many there are besides."""
    return ", ".join(entries[:limit]) + (f" and {len(entries) - limit} more" if len(entries) > limit else "")
