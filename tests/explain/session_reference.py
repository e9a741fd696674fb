"""What a session means, in its plainest form: whole codes, a change at a time.

`hcm_tf.explain.session` carries differences through recorded gates instead; here the
codes themselves go through, so that the two share no arithmetic.
"""

import base64

import numpy as np
import tensorflow as tf


def latent(origin, prior, names):
    """The latent of an origin of one seed, or of a latent, that chooses classes.

    Args:
        origin: as in the file.
        prior: draws the latents, and by numbers the labels behind them.
        names: of every label, its name and those of its classes.
    """
    chosen = origin.get("classes", {})
    if "latent" not in origin:
        asked = [
            classes.index(chosen[name]) if name in chosen else -1
            for name, classes in names
        ]
        seeds = np.array([origin["seed"]], "int32")
        return prior.from_seeds(seeds, origin["truncation"], np.array([asked]))[0]
    raw = base64.b64decode(origin["latent"])
    entries = [
        int.from_bytes(raw[start : start + 3], "little", signed=True) / 2**23
        for start in range(0, len(raw), 3)
    ]
    place = len(entries) - sum(len(classes) for _, classes in names)
    for name, classes in names:
        for one in classes:
            if name in chosen:
                entries[place] = float(one == chosen[name])
            place += 1
    return np.array(entries, "float32")


def recorded(decoder, recording, edits, donors):
    """The picture before tanh by recorded gates.

    Args:
        decoder: of the generator.
        recording: the picture that is changed.
        edits: as in the file; those that are off count for nothing.
        donors: recording of each edit's donor, None for a change.
    """
    total = np.zeros_like(recording.logits)
    code = recording.codes[0].copy()
    for level, shape in enumerate(one.shape for one in recording.codes):
        if level:
            code = decoder.replay(recording, level - 1, code[None], until=level)[0]
        here = _here(edits, donors, level)
        cell = total.shape[0] // shape[0]
        for edit in _last_changes(here, shape):
            value = _at(code, edit["unit"])
            if edit["rows"] or edit["columns"]:
                alone = _only(shape, {edit["unit"]: edit["factor"] * value})
                drawn = decoder.replay(recording, level, alone[None])[0]
                total += _shifted(drawn, edit, cell)
                code.reshape(-1)[edit["unit"]] = 0
            else:
                code.reshape(-1)[edit["unit"]] = edit["factor"] * value
        _empty_swapped_cells(code, here)
        for edit, donor in here:
            if edit["do"] != "change":
                given = _only(shape, _given(edit, donor.codes[level]))
                drawn = decoder.replay(donor, level, given[None])[0]
                total += _shifted(drawn, edit, cell)
    return total + decoder.replay(recording, len(recording.codes) - 1, code[None])[0]


def anew(decoder, recording, edits, donors):
    """The picture before tanh with new decisions above each change; see `recorded`."""
    codes, logits = list(recording.codes), recording.logits
    blocks = decoder.generator.blocks
    for level in range(len(codes)):
        here = _here(edits, donors, level)
        if not here:
            continue
        current, code = codes[level], codes[level].copy()
        changes = [
            edit
            for edit in _last_changes(here, code.shape)
            if _at(current, edit["unit"])
        ]
        for edit in changes:
            code.reshape(-1)[edit["unit"]] = 0
        _empty_swapped_cells(code, here)
        for edit in changes:
            value = edit["factor"] * _at(current, edit["unit"])
            _put(code, edit, {edit["unit"]: value})
        for edit, donor in here:
            if edit["do"] != "change":
                _put(code, edit, _given(edit, donor.codes[level]))
        codes[level] = code
        flowing = tf.constant(code[None])
        for number, block in enumerate(blocks[level:], level + 1):
            found = block.trace(flowing)
            flowing, gates = found.code, found.gates
            if number < len(codes):
                codes[number] = flowing[0].numpy()
        # A replay's last step through just made gates is the network's own.
        last = (*recording.gates[:-1], gates)
        logits = decoder.generator.replay(len(blocks) - 1, codes[-1][None], last)
        logits = logits[0].numpy()
    return logits


def _here(edits, donors, level):
    pairs = zip(edits, donors, strict=True)
    return [pair for pair in pairs if pair[0]["on"] and pair[0]["level"] == level]


def _last_changes(here, shape):
    """One change a unit, the last; none where a swap makes the unit give way."""
    last = {edit["unit"]: edit for edit, _ in here if edit["do"] == "change"}
    swapped = {edit["unit"] // shape[2] for edit, _ in here if edit["do"] == "swap"}
    return [edit for unit, edit in last.items() if unit // shape[2] not in swapped]


def _empty_swapped_cells(code, here):
    for edit, _ in here:
        if edit["do"] == "swap":
            code.reshape(-1, code.shape[2])[edit["unit"] // code.shape[2]] = 0


def _given(edit, code):
    """Flat index and value of what a donor's code gives."""
    first = edit["unit"] - edit["unit"] % code.shape[2]
    at_cell = [unit for unit in range(first, first + code.shape[2]) if _at(code, unit)]
    units = at_cell if edit["do"] == "swap" else [edit["unit"]]
    return {unit: edit["factor"] * _at(code, unit) for unit in units}


def _put(code, edit, values):
    height, width, channels = code.shape
    for unit, value in values.items():
        row = unit // (width * channels) + edit["rows"]
        column = unit // channels % width + edit["columns"]
        if 0 <= row < height and 0 <= column < width:
            code[row, column, unit % channels] = value


def _only(shape, values):
    code = np.zeros(shape, "float32")
    for unit, value in values.items():
        code.reshape(-1)[unit] = value
    return code


def _at(code, unit):
    return code.reshape(-1)[unit]


def _shifted(image, edit, cell):
    size = len(image)
    shifted = np.zeros_like(image)
    for row in range(size):
        for column in range(size):
            to = row + edit["rows"] * cell, column + edit["columns"] * cell
            if 0 <= to[0] < size and 0 <= to[1] < size:
                shifted[to] = image[row, column]
    return shifted
