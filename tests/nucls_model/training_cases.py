"""A model of two convolutions with the detector's interface, and FOVs it can learn from in no time."""

from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from crowdtruth.parallel import Silent
from nucls_model.instances import Target
from nucls_model.train.batches import TrainingData
from nucls_model.train.loop import Descent, train_model
from nucls_model.train.processes import Processes
from nucls_model.train.schedule import Phase

ALONE = Processes(0, 1, torch.device("cpu"))
PHASES = (Phase("detector", 0, 4, False), Phase("classifier", 4, 7, True))
DESCENT = Descent(batch_size=4, learning_rate=0.05, momentum=0.9, weight_decay=5e-4)


class Told(Silent):
    """A reporter that remembers what was said."""

    def __init__(self):
        self.lines = []

    def say(self, message):
        self.lines.append(message)


class Interrupted(Silent):
    """A reporter that is interrupted after some updates, as by Ctrl-C."""

    def __init__(self, n_updates):
        self.n_updates = n_updates

    def track(self, items, description, total):
        for n, item in enumerate(items):
            if n == self.n_updates:
                raise KeyboardInterrupt
            yield item


class TinyDetector(nn.Module):
    """A detector of one convolution with batch norm, a classifier of another; batch norm can be left out."""

    def __init__(self, *, has_norm: bool = True, channels: int = 3) -> None:
        super().__init__()
        self.detector = nn.Sequential(
            nn.Conv2d(3, channels, 3, padding=1), nn.BatchNorm2d(channels) if has_norm else nn.Identity()
        )
        self.classifier = nn.Conv2d(channels, 2, 1)
        self.is_frozen = False

    def forward(self, images, targets, generator):
        """Losses of (n, 3, height, width): the detector wants the red channel back, with noise of the generator."""
        pixels = torch.stack(images)
        features = self.detector(pixels)
        noise = torch.rand(pixels[:, 0].shape, generator=generator)
        logits = self.classifier(features).mean(dim=(2, 3))  # (n, 2)
        losses = {"class": functional.cross_entropy(logits, torch.stack([t.classes[0] for t in targets]))}
        if not self.is_frozen:
            losses["box"] = ((features[:, 0] - pixels[:, 0] - 0.1 * noise) ** 2).mean()
            losses["mask"] = features.abs().mean()
        return losses

    def detector_parameters(self):
        return self.detector.parameters()

    def classifier_parameters(self):
        return self.classifier.parameters()

    def freeze_detector(self):
        self.is_frozen = True
        for parameter in self.detector_parameters():
            parameter.requires_grad_(False)
        self.detector.eval()


def tiny_detector(seed: int = 0, **options) -> TinyDetector:
    """The same weights for the same seed; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return TinyDetector(**options)


def target_of(label: int, side: int = 8) -> Target:
    """One object of class 0 or 1 in the middle."""
    return Target(
        boxes=torch.tensor([[2.0, 2, side - 2, side - 2]]),
        classes=functional.one_hot(torch.tensor([label]), 2).float(),
        class_weight=torch.ones(1),
        existence=torch.ones(1),
        has_outline=torch.zeros(1, dtype=torch.bool),
        masks=torch.zeros(0, side, side, dtype=torch.bool),
        ignored=torch.zeros(0, 4),
    )


class TinyFovs(torch.utils.data.Dataset):
    """Noise, redder where the class is 1; brighter or darker by the seed."""

    def __init__(self, n_fovs: int = 6, side: int = 8) -> None:
        noise = torch.rand(n_fovs, 3, side, side, generator=torch.Generator().manual_seed(3))
        self.labels = [n % 2 for n in range(n_fovs)]
        self.images = noise + torch.tensor(self.labels)[:, None, None, None] * torch.tensor([1.0, 0, 0])[:, None, None]

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, item):
        place, seed = item
        brightness = 0.5 + torch.rand((), generator=torch.Generator().manual_seed(seed))
        return self.images[place] * brightness, target_of(self.labels[place])


def tiny_data(n_fovs: int = 6) -> TrainingData:
    """Named FOVs with equal weights."""
    return TrainingData(TinyFovs(n_fovs), [f"fov-{n}" for n in range(n_fovs)], torch.ones(n_fovs))


def train_tiny(out: Path, *, model=None, data=None, phases=PHASES, descent=DESCENT, processes=ALONE, **options):
    """A trained model and where it was trained."""
    model = tiny_detector() if model is None else model
    options = {"seed": 5, "checkpoint_every": 2} | options
    train_model(model, data or tiny_data(), phases, descent, out, processes=processes, **options)
    return model
