// The model behind the fake: accounts, repositories, a real commit graph, branches and the pushes that moved them.
//
// It holds what happened, in ISO times and logins, and answers no request: rest*.mjs and graph*.mjs show it in GitHub's
// two forms, pulls.mjs and protection.mjs add pull requests and rules to it. Numbers and shas come from counters, so
// that the same scenario is the same on every machine.

import { createHash, generateKeyPairSync } from 'node:crypto';

/** One key for the process: making one takes longer than the rest of the start. */
const APP_KEYS = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
});

export const ZERO = '0'.repeat(40);

export class World {
  constructor() {
    this.counter = 1000;
    this.accounts = new Map();
    this.repositories = new Map();
    this.rulesets = new Map();
    this.tokens = new Map();
    this.installations = new Map();
    this.app = { id: 4711, slug: 'evidence', name: 'evidence', owner: null, keys: APP_KEYS };
    this.clock = new Clock();
    /** What a test may set: see control.mjs. */
    this.settings = {
      graphql_502_above: null,
      node_limit: 500_000,
      core_limit: 5000,
      graphql_limit: 5000,
      public_url: null,
      links: 'same',
      rule_suites_need_write: false,
      token_seconds: 3600,
    };
    /** What must be found, by repository: see README.md. */
    this.truth = { repositories: {}, organization: {} };
  }

  id() {
    return ++this.counter;
  }

  sha(text) {
    return createHash('sha1').update(`${this.id()} ${text}`).digest('hex');
  }

  account(login, type = 'User', more = {}) {
    const account = { id: this.id(), login, type, name: login, deleted: false, created_at: '2020-01-01T00:00:00Z', ...more };
    this.accounts.set(login.toLowerCase(), account);
    return account;
  }

  /** Members may push everywhere unless a repository says otherwise; owners are administrators of every repository. */
  organization(login, more = {}) {
    return this.account(login, 'Organization', {
      plan: 'team',
      two_factor_required: true,
      members: new Set(),
      owners: new Set(),
      ...more,
    });
  }

  find(login) {
    return login ? this.accounts.get(login.toLowerCase()) : undefined;
  }

  repository(owner, name, more = {}) {
    const repository = {
      id: this.id(),
      owner,
      name,
      private: false,
      fork: false,
      archived: false,
      default_branch: 'main',
      created_at: '2026-01-05T09:00:00Z',
      deleted: false,
      hidden_after_listing: false,
      /** Old names, of itself and of its branches, which GitHub redirects. */
      old_names: new Set(),
      old_branches: new Map(),
      commits: new Map(),
      refs: new Map(),
      pushes: [],
      pulls: [],
      pulls_of_commit: new Map(),
      protections: [],
      codeowners: null,
      roles: new Map(),
      check_suites: new Map(),
      check_runs: new Map(),
      statuses: new Map(),
      rule_suites: [],
      deployments: [],
      histories: new Map(),
      ...more,
    };
    this.repositories.set(repository.id, repository);
    return repository;
  }

  /** By its present name, or by an old one: then `moved` says that GitHub would redirect. */
  named(owner, name) {
    const wanted = name.toLowerCase();
    let moved;
    for (const repository of this.repositories.values()) {
      if (repository.deleted || repository.owner.toLowerCase() !== owner.toLowerCase()) continue;
      if (repository.name.toLowerCase() === wanted) return { repository };
      if (repository.old_names.has(wanted)) moved = repository;
    }
    return moved ? { repository: moved, moved: true } : {};
  }

  owned(owner) {
    return [...this.repositories.values()].filter(
      (repository) => !repository.deleted && repository.owner.toLowerCase() === owner.toLowerCase(),
    );
  }

  /** 'admin', 'write', 'read' or null: what an account may do in a repository. */
  role(repository, login) {
    const account = this.find(login);
    if (!account || account.deleted) return null;
    const given = repository.roles.get(account.login);
    if (given) return given;
    if (account.login === repository.owner) return 'admin';
    const owner = this.find(repository.owner);
    if (owner?.owners?.has(account.login)) return 'admin';
    if (owner?.members?.has(account.login)) return 'write';
    return repository.private ? null : 'read';
  }

  /**
   * Adds a commit. Its dates are whatever its makers wrote, as in git: nothing ties them to when it was pushed.
   * `author` and `committer` are logins, or names of people whom GitHub does not know.
   */
  commit(repository, { parents, author, committer = author, at, committed_at = at, message = 'Change' }) {
    const oid = this.sha(message);
    const signature = (who, date) => ({
      name: this.find(who)?.name ?? who,
      email: `${who.replace(/\[bot\]$/, '')}@example.org`,
      login: this.find(who) ? who : null,
      date,
    });
    repository.commits.set(oid, {
      oid,
      tree: createHash('sha1').update(`tree ${oid}`).digest('hex'),
      parents,
      author: signature(author, at),
      committer: signature(committer, committed_at),
      message,
    });
    return oid;
  }

  /** Moves a branch and notes it as GitHub does, by the server's time; `type` only where the move itself does not tell. */
  push(repository, branch, oid, { actor, at, type }) {
    const before = repository.refs.get(branch) ?? ZERO;
    const kind =
      type ??
      (before === ZERO ? 'branch_creation' : oid === ZERO ? 'branch_deletion' : this.reaches(repository, oid, before) ? 'push' : 'force_push');
    if (oid === ZERO) repository.refs.delete(branch);
    else repository.refs.set(branch, oid);
    const push = { id: this.id(), ref: `refs/heads/${branch}`, before, after: oid, actor, at, type: kind };
    repository.pushes.push(push);
    repository.pushed_at = at;
    return push;
  }

  /** Whether `older` is `newer` or one of its ancestors. */
  reaches(repository, newer, older) {
    return this.ancestors(repository, newer).set.has(older);
  }

  /** A commit and all before it, as `git log` orders them: of those at hand, the latest committer date first. */
  ancestors(repository, oid) {
    const known = repository.histories.get(oid);
    if (known) return known;
    const list = [];
    const set = new Set([oid]);
    const open = [repository.commits.get(oid)];
    while (open.length > 0) {
      let latest = 0;
      for (let i = 1; i < open.length; i += 1) {
        if (open[i].committer.date > open[latest].committer.date) latest = i;
      }
      const [commit] = open.splice(latest, 1);
      list.push(commit);
      for (const parent of commit.parents) {
        if (!set.has(parent)) {
          set.add(parent);
          open.push(repository.commits.get(parent));
        }
      }
    }
    const history = { list, set };
    // Few of them are asked for twice, and each is as long as the branch.
    if (repository.histories.size > 8) repository.histories.clear();
    repository.histories.set(oid, history);
    return history;
  }

  /** As `git rev-list base..head` and back, with the best common ancestor, which may be none. */
  compare(repository, base, head) {
    const [left, right] = [this.ancestors(repository, base), this.ancestors(repository, head)];
    const ahead = right.list.filter((commit) => !left.set.has(commit.oid));
    const behind = left.list.filter((commit) => !right.set.has(commit.oid));
    const common = right.list.filter((commit) => left.set.has(commit.oid));
    const inner = new Set(common.flatMap((commit) => commit.parents));
    const best = common.find((commit) => !inner.has(commit.oid));
    const status = ahead.length ? (behind.length ? 'diverged' : 'ahead') : behind.length ? 'behind' : 'identical';
    return { status, ahead: ahead.reverse(), behind, best };
  }

  /** The branch that a name means, a full or shortened sha, or a tag of neither: undefined. */
  resolve(repository, name) {
    const branch = name.replace(/^(refs\/)?heads\//, '');
    if (repository.refs.has(branch)) return repository.refs.get(branch);
    if (repository.commits.has(name)) return name;
    if (name === 'HEAD') return repository.refs.get(repository.default_branch);
    if (!/^[0-9a-f]{7,39}$/.test(name)) return undefined;
    return [...repository.commits.keys()].find((oid) => oid.startsWith(name));
  }
}

/** The fake's time: it starts where a scenario sets it and runs, or stands still. */
class Clock {
  constructor() {
    this.set('2026-11-20T12:00:00Z');
  }

  /** An ISO time, or 'machine' for this machine's. */
  set(time, frozen = false) {
    const from = time === 'machine' ? Date.now() : Date.parse(time);
    if (Number.isNaN(from)) throw new Error(`no time: ${time}`);
    this.from = from;
    this.frozen = frozen;
    this.started = process.hrtime.bigint();
  }

  advance(seconds) {
    this.from += seconds * 1000;
  }

  milliseconds() {
    const passed = this.frozen ? 0 : Number((process.hrtime.bigint() - this.started) / 1_000_000n);
    return this.from + passed;
  }

  iso() {
    return new Date(this.milliseconds()).toISOString().replace(/\.\d+Z$/, 'Z');
  }
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

/** Moves every time that a world holds by so many milliseconds. */
export function move(world, by) {
  const seen = new Set();
  const open = [world];
  const moved = (value) => {
    if (typeof value === 'string' && TIME.test(value)) return new Date(Date.parse(value) + by).toISOString().replace(/\.\d+Z$/, 'Z');
    if (value && typeof value === 'object' && !seen.has(value)) {
      seen.add(value);
      open.push(value);
    }
    return value;
  };
  while (open.length > 0) {
    const each = open.pop();
    if (each instanceof Map) for (const [key, value] of each) each.set(key, moved(value));
    else if (each instanceof Set) each.forEach(moved);
    else {
      for (const [key, { value, writable }] of Object.entries(Object.getOwnPropertyDescriptors(each))) {
        const now = moved(value);
        if (writable && now !== value) each[key] = now;
      }
    }
  }
}
