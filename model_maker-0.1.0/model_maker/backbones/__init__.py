"""Pretrained feature extractors: the registry of those known by name, and what makes them, or foreign ones, run."""

from model_maker.backbones.registry import BACKBONES, DEFAULT, Backbone, get

__all__ = ["BACKBONES", "DEFAULT", "Backbone", "get"]
