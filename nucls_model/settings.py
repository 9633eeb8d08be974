"""Which values settings may have, wherever they come from: a file, a flag, the record of a trained model."""

from dataclasses import asdict

from nucls_model.config import NuclsConfig

_MAY_BE_ZERO = {
    *("scale_jitter", "mask_convs", "class_convs", "thumbnail_shifts", "min_objectness", "min_size"),
    *("momentum", "weight_decay", "detector_updates", "classifier_updates"),
}
_LARGEST = 1_000_000_000  # no setting means anything beyond
_SHARES = {
    *("rpn_foreground_iou", "rpn_background_iou", "rpn_foreground_share", "rpn_nms_iou", "head_foreground_iou"),
    *("head_foreground_share", "nms_iou", "min_objectness", "momentum"),
}


def check_settings(config: NuclsConfig) -> None:
    """Raise for a number out of its range.

    Raises
    ------
    ValueError
        Naming the setting.

    Examples
    --------
    >>> check_settings(NuclsConfig(batch_size=0))
    Traceback (most recent call last):
    ValueError: batch_size must be a finite number, above 0; got 0
    """
    for name, value in asdict(config).items():
        for number in value if isinstance(value, tuple) else (value,):
            if type(number) not in (int, float):
                continue
            least = "0 or more" if name in _MAY_BE_ZERO else "above 0"
            is_low = number < 0 or (number == 0 and name not in _MAY_BE_ZERO)
            if is_low or not number < float("inf"):
                raise ValueError(f"{name} must be a finite number, {least}; got {number}")
            if number > _LARGEST:
                raise ValueError(f"{name} must be at most {_LARGEST:,}, got {number}")
            if name in _SHARES and number > 1:
                raise ValueError(f"{name} must be at most 1, got {number}")
    if config.scale_jitter >= config.scale_factor:
        raise ValueError(
            f"scale_jitter must be below scale_factor, got {config.scale_jitter:g} and {config.scale_factor:g}"
        )
