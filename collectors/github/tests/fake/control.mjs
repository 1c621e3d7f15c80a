// The control API below `/_fake/`, without authentication: scenarios, changes, faults, the clock, the log and the truth.

import { changes } from './changes.mjs';
import { fault } from './faults.mjs';
import { scenarios } from './scenarios.mjs';
import { truth } from './truth.mjs';
import { move, World } from './world.mjs';

/** All that a test changes. A scenario replaces the world; faults and log stay until they are cleared. */
export const state = { world: new World(), faults: [], log: [] };

const ROUTES = {
  'POST /scenario': ({ name, ...options }) => {
    if (!scenarios[name]) throw new Error(`no such scenario: ${name}; there are ${Object.keys(scenarios).join(', ')}`);
    const world = new World();
    // Where it is reached stays as it was.
    world.settings.public_url = state.world.settings.public_url;
    state.world = world;
    scenarios[name](world, options);
    return access(world);
  },
  'GET /access': () => access(state.world),
  'POST /do': ({ op, ...given }) => {
    if (!changes[op]) throw new Error(`no such change: ${op}; there are ${Object.keys(changes).join(', ')}`);
    return changes[op](state.world, given) ?? {};
  },
  'POST /settings': (given) => {
    for (const name of Object.keys(given)) {
      if (!(name in state.world.settings)) throw new Error(`no such setting: ${name}; there are ${Object.keys(state.world.settings).join(', ')}`);
    }
    return Object.assign(state.world.settings, given);
  },
  'POST /clock': ({ now, frozen, advance }) => {
    const { clock } = state.world;
    // As if the scenario had been made now: all that happened in it is as long ago as before.
    if (now === 'machine') move(state.world, Math.floor((Date.now() - clock.milliseconds()) / 1000) * 1000);
    if (now) clock.set(now, frozen ?? false);
    else if (frozen !== undefined) clock.set(clock.iso(), frozen);
    if (advance) clock.advance(advance);
    return { now: clock.iso() };
  },
  'GET /clock': () => ({ now: state.world.clock.iso() }),
  'POST /faults': (given) => {
    for (const each of Array.isArray(given) ? given : [given]) state.faults.push(fault(each));
    return { faults: state.faults.length };
  },
  'GET /faults': () => state.faults.map(({ expression, ...shown }) => shown),
  'DELETE /faults': () => {
    state.faults.length = 0;
    return {};
  },
  'GET /log': () => state.log,
  'POST /log/clear': () => {
    state.log.length = 0;
    return {};
  },
  'GET /truth': () => truth(state.world),
};

export function control(method, path, text) {
  const route = ROUTES[`${method} ${path}`];
  if (!route) return { status: 404, body: { error: `no such route; there are ${Object.keys(ROUTES).join(', ')}` } };
  try {
    return { status: 200, body: route(text ? JSON.parse(text) : {}) };
  } catch (error) {
    return { status: 400, body: { error: error.message, stack: error.stack } };
  }
}

/** How to get in: the tokens by name, the App's key, its installations. */
function access(world) {
  return {
    tokens: Object.fromEntries([...world.tokens].filter(([, { kind }]) => kind !== 'installation').map(([value, { name }]) => [name, value])),
    app: { id: world.app.id, client_id: `Iv1.${world.app.id}`, slug: world.app.slug, private_key: world.app.keys.privateKey },
    installations: Object.fromEntries([...world.installations.values()].map(({ name, id }) => [name, id])),
    now: world.clock.iso(),
  };
}
