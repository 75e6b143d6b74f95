"""Pretrained feature extractors: the registry of those known by name, and what is needed to run them or foreign ones."""

from model_maker.backbones.registry import BACKBONES, DEFAULT, Backbone, get

__all__ = ["BACKBONES", "DEFAULT", "Backbone", "get"]
