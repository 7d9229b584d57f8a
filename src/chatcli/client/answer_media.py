"""Pictures and sounds in an answer: what they are and how large, so that they can at least be mentioned.

Nothing is kept of them and nothing is fetched. ``images`` beside the content: OpenRouter
(https://openrouter.ai/docs/guides/overview/multimodal/image-generation); ``audio``:
https://platform.openai.com/docs/guides/audio; ``image_generation_call``:
https://platform.openai.com/docs/guides/tools-image-generation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_MENTIONED: Final = 4
_LONGEST_ADDRESS: Final = 200
_UNITS: Final = ((1e6, "MB"), (1e3, "kB"))


class AnswerMedia:
    """Counts the pictures and the sounds of one answer."""

    def __init__(self) -> None:
        self._pictures: dict[object, str] = {}
        self.received = 0
        """How many characters came of them."""
        self._sound_bytes = 0
        self._sound_format = ""

    def __bool__(self) -> bool:
        return bool(self._pictures or self._sound_bytes)

    def picture_at(self, place: object) -> None:
        """Note a picture by its address, which may hold all of it: ``"url"`` or ``{"url": …}``."""
        url = place.get("url") if isinstance(place, dict) else place
        if not isinstance(url, str) or not url:
            return
        self.received += len(url)
        if url[:5].lower() == "data:":
            head, _, data = url.partition(",")
            kind = head[5:].partition(";")[0] or "image"
            self._pictures[len(self._pictures)] = f"{kind[:64]}, {_size(_decoded_bytes(data))}"
        else:
            self._pictures[url] = url if len(url) <= _LONGEST_ADDRESS else url[:_LONGEST_ADDRESS] + "…"

    def generated(self, item: Mapping[str, Any]) -> None:
        """Note the picture of an ``image_generation_call``, once, whichever events repeat it."""
        result, kind = item.get("result"), item.get("output_format")
        if isinstance(result, str) and result:
            self.received += len(result)
            of = kind[:64] if isinstance(kind, str) else "png"
            self._pictures[item.get("id") or len(self._pictures)] = (
                f"image/{of}, {_size(_decoded_bytes(result))}"
            )

    def sound(self, data: object, sound_format: object = None) -> None:
        """Note another part of the sound, in base64."""
        if isinstance(data, str):
            self.received += len(data)
            self._sound_bytes += _decoded_bytes(data)
        if isinstance(sound_format, str):
            self._sound_format = sound_format[:64]

    def words(self) -> str:
        """Return what there is, with types and sizes."""
        pictures = list(self._pictures.values())
        named = "; ".join(pictures[:_MOST_MENTIONED])
        if len(pictures) > _MOST_MENTIONED:
            named += f"; and {len(pictures) - _MOST_MENTIONED:,} more"
        told = []
        if pictures:
            told.append(f"{'a picture' if len(pictures) == 1 else f'{len(pictures):,} pictures'} ({named})")
        if self._sound_bytes:
            kind = f"audio/{self._sound_format}" if self._sound_format else "audio"
            told.append(f"a sound ({kind}, {_size(self._sound_bytes)})")
        return " and ".join(told)


def _decoded_bytes(base64_text: str) -> int:
    padding = 2 if base64_text.endswith("==") else base64_text.endswith("=")
    return max(0, len(base64_text) * 3 // 4 - padding)


def _size(length: int) -> str:
    for unit, name in _UNITS:
        if length >= unit:
            return f"{length / unit:.1f} {name}"
    return f"{length:,} bytes"
