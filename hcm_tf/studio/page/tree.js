/** The AND-OR tree of a picture as JSON: explain/tree.py, under tree.schema.json. */

const ROOTS = 8;
const BREADTH = 4;
const PARENTS = 3;
const RIVALS = 5;

/**
 * @param {import("./picture.js").Picture} picture
 * @param {import("./names.js").Names} names
 * @param {(done: number) => void} tell  how many nodes are done.
 */
export async function growTree(picture, names, tell) {
  const { model } = picture.engine;
  const last = model.levels.length - 1;
  const whole = { top: 0, left: 0, bottom: model.imageSize, right: model.imageSize };
  const ranked = await picture.shares(whole);
  const shares = ranked.map((level) => new Map(level.map(({ unit, share }) => [unit, share])));
  const numbers = picture.traced.codes.map(({ index }) => new Map([...index].map((unit, place) => [unit, place])));
  const nodes = [];
  const edgeResiduals = model.levels.map(() => 0);
  let chosen = ranked[0].slice(0, ROOTS).map(({ unit }) => unit);
  const roots = chosen.map((unit) => `0-${numbers[0].get(unit)}`);
  for (let level = 0; level <= last; level += 1) {
    const next = new Map();
    let largest = 0, missing = 0;
    for (const unit of chosen) {
      const value = picture.value(level, unit), share = shares[level].get(unit);
      const { children, below } = await picture.edges(level, unit);
      const outgoing = level === last ? [] : flowsOf(children, level + 1).sort((a, b) => b.flow - a.flow);
      const listed = outgoing.slice(0, BREADTH).filter(({ flow }) => flow > 0);
      for (const { unit: child } of listed) next.set(child, shares[level + 1].get(child));
      const incoming = level === 0 ? [] : edgesInto(below[level - 1], value, share).sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight));
      const parents = incoming.slice(0, PARENTS);
      const sum = (edges, field) => edges.reduce((total, edge) => total + edge[field], 0);
      largest = Math.max(largest, Math.abs(value));
      missing = level === 0 ? 0 : Math.max(missing, Math.abs(sum(incoming, "weight") - value));
      const choice = await picture.choice(level, unit, RIVALS);
      nodes.push({
        id: identifier(level, unit),
        unit: title(level, unit),
        level,
        ...placeOf(level, unit),
        value,
        share,
        rank: choice.rank,
        lead: choice.lead,
        margin: choice.margin,
        ...(choice.gate === 1 ? {} : { gate: choice.gate }),
        ...(choice.always ? { always: true } : {}),
        rivals: [...choice.index].map((other, place) => ({ basis: other % model.levels[level].channels, response: choice.response[place], kept: choice.kept[place] === 1 })),
        children: listed.map((edge) => plain(level + 1, edge)),
        other_children_flow: level === last ? share : sum(outgoing, "flow") - sum(listed, "flow"),
        parents: parents.map((edge) => plain(level - 1, edge)),
        other_parents_weight: level === 0 ? null : sum(incoming, "weight") - sum(parents, "weight"),
        ...named(level, unit),
      });
      tell(nodes.length);
    }
    edgeResiduals[level] = largest ? missing / largest : 0;
    chosen = [...next].sort((a, b) => b[1] - a[1]).map(([unit]) => unit);
  }
  const levels = [];
  for (const [level, { name }] of model.levels.entries()) {
    const code = picture.traced.codes[level];
    const [drawn] = await picture.withGates((id) => picture.engine.replay(id, level, [code]));
    levels.push({ name, active_units: code.index.length, unit_residual: difference(drawn, picture.logits), edge_residual: edgeResiduals[level] });
  }
  return { schema_version: 1, levels, roots, nodes };

  function flowsOf({ index, value }, level) {
    return [...index].map((unit, place) => ({ unit, weight: value[place], flow: (value[place] * (shares[level].get(unit) ?? 0)) / (picture.value(level, unit) || 1) }));
  }
  function edgesInto({ index, value }, own, share) {
    return [...index].map((unit, place) => ({ unit, weight: value[place], flow: (value[place] * share) / own }));
  }
  function identifier(level, unit) {
    return `${level}-${numbers[level].get(unit)}`;
  }
  function placeOf(level, unit) {
    const { width, channels } = model.levels[level];
    return { row: Math.floor(unit / (width * channels)), column: Math.floor(unit / channels) % width, basis: unit % channels };
  }
  function title(level, unit) {
    const { row, column, basis } = placeOf(level, unit);
    return `${model.levels[level].name}:${row},${column}:${basis}`;
  }
  function plain(level, { unit, weight, flow }) {
    return { id: identifier(level, unit), unit: title(level, unit), weight, flow };
  }
  function named(level, unit) {
    const name = names.of(level, unit);
    return name ? { name } : {};
  }
}

function difference(actual, expected) {
  let most = 0, scale = 0;
  actual.forEach((value, place) => {
    most = Math.max(most, Math.abs(value - expected[place]));
    scale = Math.max(scale, Math.abs(expected[place]));
  });
  return scale ? most / scale : most;
}
