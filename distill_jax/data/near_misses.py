"""Phrases that nearly are another, made by changing its phonemes."""

from typing import NamedTuple

from distill_jax.data import phonemes

# Nearer than this is the same phrase: another way to say ə, or a dropped h. A sound
# that makes another word of it, such as f for θ, is as far at the least.
SAME = 0.3
SIMILAR = 0.6
TRIES = 200


class Material(NamedTuple):
    """What one voice can say.

    Attributes:
      phones: of the phrase, tuple of `Phone`.
      inventory: all (sign, ipa) that the voice uses.
      words: other words, tuple of tuples of `Phone`.
    """

    phones: tuple
    inventory: frozenset
    words: tuple


def draw(material, phrases, rng):
    """A near miss that is none of the phrases, nor has one in it.

    Args:
      material: `Material`.
      phrases: the ways to say what must not come out, as strings of sounds.
      rng: numpy random generator.

    Returns:
      Tuple of `Phone`, and the name of the edit.

    Raises:
      ValueError: none of 200 was far enough from the phrases and speakable.
    """
    names = list(EDITS)
    chance_n = [EDITS[name][0] for name in names]
    for _ in range(TRIES):
        name = names[rng.choice(len(names), p=chance_n)]
        phones = EDITS[name][1](material, rng)
        if (
            phones
            and any(phone.vowel for phone in phones)
            and not has([phonemes.sounds(phones)], phrases)
        ):
            return phones, name
    raise ValueError(
        f"{TRIES} changes of {phonemes.written(material.phones)} gave nothing that is "
        "far enough from it; take a longer phrase, or no near misses"
    )


def has(heard, phrases):
    """Whether a phrase is in what is heard.

    Args:
      heard: ways to say a text, strings of sounds.
      phrases: ways to say the phrase.
    """
    return any(
        phonemes.distance(phrase, sounds, True, SAME) < SAME
        for sounds in heard
        for phrase in phrases
    )


def substitute(material, rng):
    """Another sound instead of one, but one that is like it."""
    return _replaced(material.phones, material, rng)


def substitute_two(material, rng):
    """Two other sounds."""
    return _replaced(_replaced(material.phones, material, rng), material, rng)


def delete(material, rng):
    """A sound less."""
    place = rng.integers(len(material.phones))
    return material.phones[:place] + material.phones[place + 1 :]


def insert(material, rng):
    """A consonant more, with the word it follows."""
    phones = material.phones
    place = rng.integers(len(phones))
    new = [
        phonemes.Phone(sign, "", ipa, phones[place].word)
        for sign, ipa in sorted(material.inventory)
    ]
    new = [phone for phone in new if not phone.vowel]
    if not new:
        return ()
    return (*phones[: place + 1], new[rng.integers(len(new))], *phones[place + 1 :])


def swap(material, rng):
    """Two neighbours the other way round."""
    phones = list(material.phones)
    if len(phones) < 2:
        return ()
    place = rng.integers(len(phones) - 1)
    one, two = phones[place : place + 2]
    phones[place : place + 2] = (
        two._replace(word=one.word),
        one._replace(word=two.word),
    )
    return tuple(phones)


def part(material, rng):
    """The beginning or the end: some words of several, or some sounds."""
    phones = material.phones
    words = phones[-1].word + 1
    if words > 1 and rng.random() < 0.5:
        cut, first = rng.integers(1, words), rng.random() < 0.5
        return tuple(phone for phone in phones if (phone.word < cut) == first)
    if len(phones) < 3:
        return ()
    cut = rng.integers(2, len(phones))
    return phones[:cut] if rng.random() < 0.5 else phones[len(phones) - cut :]


def exchange(material, rng):
    """Another word instead of one of several."""
    words = material.phones[-1].word + 1
    if words < 2 or not material.words:
        return ()
    place = rng.integers(words)
    other = material.words[rng.integers(len(material.words))]
    parts = [
        [phone for phone in material.phones if phone.word == number]
        for number in range(words)
    ]
    parts[place] = [phone._replace(word=place) for phone in other]
    return tuple(phone for group in parts for phone in group)


# How often each is tried, and what does it.
EDITS = {
    "substitute": (0.4, substitute),
    "substitute_two": (0.15, substitute_two),
    "delete": (0.1, delete),
    "insert": (0.1, insert),
    "swap": (0.05, swap),
    "part": (0.1, part),
    "exchange": (0.1, exchange),
}


def _replaced(phones, material, rng):
    if not phones:
        return ()
    place = rng.integers(len(phones))
    like = phonemes.alike(phones[place], material.inventory, SAME, SIMILAR)
    if not like:
        return ()
    sign, ipa = like[rng.integers(len(like))]
    new = phones[place]._replace(sign=sign, ipa=ipa)
    return (*phones[:place], new, *phones[place + 1 :])
