"""TFLite Model Maker's public API for image classification (0.4.2), implemented with this package.

To run a script for `tflite_model_maker`, change only the package name in its imports:

    from model_maker.compat import image_classifier, model_spec
    from model_maker.compat.config import ExportFormat, QuantizationConfig
    from model_maker.compat.image_classifier import DataLoader

Everything here maps to `model_maker` itself, which has more features; docs/COMPAT.md has the API mapping.
"""

from typing import TYPE_CHECKING

if not TYPE_CHECKING:  # type checkers accept every name of a module with __getattr__
    from model_maker.compat import absent

    __getattr__ = absent.module_getattr(__name__, absent.AbsentTaskError)
