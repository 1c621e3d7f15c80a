// GraphQL over GitHub's own SDL: a query that breaks it is refused, as is one without bounds or with too many nodes.
//
// Answers are 200 whatever went wrong, with `errors` and their `type`, as GitHub's are; only a query that is too large
// to be served in time, as a test may set it, is 502.

import { readFileSync } from 'node:fs';
import { buildSchema, execute, getNamedType, GraphQLError, isObjectType, isInterfaceType, Kind, parse, validate, valueFromASTUntyped } from 'graphql';
import { Refusal } from './access.mjs';
import { root } from './graph-repository.mjs';

// The file beside the package's entry, which does not export it by path.
const sdl = new URL('schema.graphql', import.meta.resolve('@octokit/graphql-schema'));
const schema = buildSchema(readFileSync(sdl, 'utf8'), { assumeValid: true, assumeValidSDL: true });

/** The operation's name that a body asks for, for the log and for faults. */
export function operation(json) {
  const named = json?.operationName ?? /\b(?:query|mutation)\s+(\w+)/.exec(json?.query ?? '')?.[1] ?? null;
  return { operation: named };
}

export function graphql(call) {
  const { world, token, json, method } = call;
  if (method !== 'POST') throw new Refusal(404, 'Not Found');
  if (!token || token.kind === 'app') throw new Refusal(401, 'This endpoint requires you to be authenticated.');
  if (typeof json?.query !== 'string') throw new Refusal(400, 'Problems parsing JSON');
  let document;
  try {
    document = parse(json.query);
  } catch (error) {
    return answer({ errors: [{ message: error.message, locations: error.locations }] });
  }
  const faults = validate(schema, document);
  if (faults.length > 0) {
    return answer({ errors: faults.map(({ message, locations }) => ({ message, locations, extensions: { code: 'invalid' } })) });
  }
  const chosen = document.definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION);
  const asked = chosen.find(({ name }) => name?.value === json.operationName) ?? chosen[0];
  if (asked.operation !== 'query') {
    return answer({ data: null, errors: [{ type: 'FORBIDDEN', message: 'Resource not accessible by personal access token' }] });
  }
  const size = measured(document, asked, json.variables ?? {});
  if (size.refusal) return answer({ errors: [size.refusal] });
  if (size.nodes > world.settings.node_limit) {
    const message = `This query requests up to ${size.nodes} possible nodes which exceeds the maximum limit of ${world.settings.node_limit}.`;
    return answer({ errors: [{ type: 'MAX_NODE_LIMIT_EXCEEDED', message }] });
  }
  const cost = Math.max(1, Math.round(size.requests / 100));
  const above = world.settings.graphql_502_above;
  if (above !== null && size.nodes > above) {
    const message = 'Something went wrong while executing your query. This may be the result of a timeout, or it could be a GitHub bug.';
    return { status: 502, body: { data: null, errors: [{ message }] }, headers: {}, cost };
  }
  const context = { ...call, cost, nodes: size.nodes };
  const { data, errors } = execute({ schema, document, rootValue: root(context), contextValue: context, variableValues: json.variables ?? {}, operationName: json.operationName });
  return { ...answer({ data, ...(errors && { errors: errors.map(shown) }) }), cost };
}

const answer = (body) => ({ status: 200, body, headers: {} });

function shown({ message, path, locations, extensions, originalError }) {
  if (originalError && !(originalError instanceof GraphQLError)) process.stderr.write(`${originalError.stack}\n`);
  return { ...(extensions?.type && { type: extensions.type }), path, locations, message };
}

/** The nodes that a query may give, and the requests that GitHub counts for them: one for each connection and parent. */
function measured(document, asked, variables) {
  const fragments = new Map(document.definitions.filter(({ kind }) => kind === Kind.FRAGMENT_DEFINITION).map((each) => [each.name.value, each]));
  const defaults = Object.fromEntries((asked.variableDefinitions ?? []).filter((each) => each.defaultValue).map((each) => [each.variable.name.value, valueFromASTUntyped(each.defaultValue)]));
  const given = { ...defaults, ...variables };
  const total = { nodes: 0, requests: 0, refusal: null };
  const walk = (type, selection, parents) => {
    for (const each of selection?.selections ?? []) {
      if (each.kind === Kind.FRAGMENT_SPREAD) {
        const fragment = fragments.get(each.name.value);
        walk(schema.getType(fragment.typeCondition.name.value), fragment.selectionSet, parents);
      } else if (each.kind === Kind.INLINE_FRAGMENT) {
        walk(each.typeCondition ? schema.getType(each.typeCondition.name.value) : type, each.selectionSet, parents);
      } else if (isObjectType(type) || isInterfaceType(type)) {
        const field = type.getFields()[each.name.value];
        if (!field) continue;
        const inner = getNamedType(field.type);
        const connection = inner.name.endsWith('Connection');
        let multiplied = parents;
        if (connection) {
          const bounds = Object.fromEntries(each.arguments.filter(({ name }) => ['first', 'last'].includes(name.value)).map(({ name, value }) => [name.value, valueFromASTUntyped(value, given)]));
          const bound = bounds.first ?? bounds.last;
          const name = each.name.value;
          if (bound === undefined || bound === null) {
            // The total alone needs no bound.
            if (selects(each.selectionSet, fragments, ['nodes', 'edges', 'pageInfo'])) {
              total.refusal ??= { type: 'MISSING_PAGINATION_BOUNDARIES', message: `You must provide a \`first\` or \`last\` value to properly paginate the \`${name}\` connection.` };
            }
          } else if (bound < 1 || bound > 100) {
            total.refusal ??= { type: 'EXCESSIVE_PAGINATION', message: `Requesting ${bound} records on the \`${name}\` connection exceeds the \`first\` limit of 100 records.` };
          } else {
            total.nodes += parents * bound;
            total.requests += parents;
            multiplied = parents * bound;
          }
        } else if (each.name.value === 'nodes' && type === schema.getQueryType()) {
          const ids = each.arguments.map(({ value }) => valueFromASTUntyped(value, given))[0] ?? [];
          if (ids.length > 100) total.refusal ??= { type: 'ARGUMENT_LIMIT', message: `You may not provide more than 100 node ids; you provided ${ids.length}.` };
          total.nodes += ids.length;
          total.requests += 1;
          multiplied = parents * Math.max(1, ids.length);
        }
        walk(inner, each.selectionSet, multiplied);
      }
    }
  };
  walk(schema.getQueryType(), asked.selectionSet, 1);
  return total;
}

function selects(set, fragments, names) {
  return (set?.selections ?? []).some((each) => {
    if (each.kind === Kind.FIELD) return names.includes(each.name.value);
    return selects(each.kind === Kind.FRAGMENT_SPREAD ? fragments.get(each.name.value).selectionSet : each.selectionSet, fragments, names);
  });
}
