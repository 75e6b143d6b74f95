"""TFLite Model Maker's public API for image classification (0.4.2), on this package's engine.

A script for `tflite_model_maker` runs with only the package's name in its imports changed:

    from model_maker.compat import image_classifier, model_spec
    from model_maker.compat.config import ExportFormat, QuantizationConfig
    from model_maker.compat.image_classifier import DataLoader

Everything here translates to `model_maker` itself, which can do more; docs/COMPAT.md says what became of what.
"""

from typing import TYPE_CHECKING

if not TYPE_CHECKING:  # a module with __getattr__ would pass for having every name
    from model_maker.compat import absent

    __getattr__ = absent.module_getattr(__name__, absent.AbsentTaskError)
