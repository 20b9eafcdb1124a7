"""The model card of a bundle that ships: what it was trained on, how it does in real air, what it is not for."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from px4_tinyml.files import JsonObject


class CardBackground(JsonObject, frozen=True):
    """A recording with which it was trained, as the manifest of its folder describes it. file: relative to the folder.

    source, commit: the public repository it is from. licence: in the words of the manifest.
    """

    file: str
    licence: str
    source: str
    commit: str
    vehicle: str


class CardShare(JsonObject, frozen=True):
    """Windows that count, of all."""

    count: Annotated[int, Meta(ge=0)]
    of: Annotated[int, Meta(ge=0)]


class CardVehicle(JsonObject, frozen=True):
    """A vehicle whose air is known, after the decision filter (docs/quality.md).

    trained_on: one of its recordings is among the backgrounds, so these are not figures of an unknown vehicle.
    """

    vehicle: str
    trained_on: bool
    calm_called: CardShare
    turbulent_found: CardShare
    manoeuvre_called: CardShare
    uncertain: CardShare


class ModelCard(JsonObject, frozen=True):
    """All of it, in the order of the page. The last three are sentences."""

    backgrounds: tuple[CardBackground, ...]
    real_air: tuple[CardVehicle, ...]
    intended_use: tuple[str, ...]
    not_for: tuple[str, ...]
    reproduction: tuple[str, ...]

    @property
    def stated_elsewhere(self) -> tuple[CardBackground, ...]:
        """Recordings whose licence is not stated in a licence file: the manifest names the file in brackets."""
        return tuple(recording for recording in self.backgrounds if "(" in recording.licence)
