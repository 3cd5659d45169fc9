// Checks a workflow with n8n's own code, and conducts it over HTTP:
//   node conduct.cjs MODULES NODES_JSON WORKFLOW_JSON INPUT_JSON
// MODULES holds n8n-workflow, NODES_JSON the descriptions in n8n-nodes-base. INPUT_JSON: {aegis_url, token, trigger, form?}.
// Parameters, expressions and conditions are read by n8n-workflow; what each kind of node does with them is written here,
// since n8n's engine is not installed for a test. Prints {issues, requests, ran}.
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const [, , modules, nodesFile, workflowFile, inputText] = process.argv;
const { Workflow, NodeHelpers, executeFilter, createRunExecutionData } = require(path.join(modules, 'n8n-workflow'));

const descriptions = JSON.parse(fs.readFileSync(nodesFile, 'utf8'));
const given = JSON.parse(fs.readFileSync(workflowFile, 'utf8'));
const input = JSON.parse(inputText);
const named = (type) => type.replace('n8n-nodes-base.', '');
const describe = (type, version) =>
  descriptions.find((d) => d.name === named(type) && [].concat(d.version).includes(version ?? 1));
const nodeTypes = {
  getByName: (type) => ({ description: describe(type) }),
  getByNameAndVersion(type, version) {
    const description = describe(type, version);
    if (!description) throw new Error(`n8n has no ${type} ${version}`);
    return { description };
  },
  getKnownTypes: () => ({}),
};
for (const node of given.nodes) if (node.name === 'Settings') node.parameters.assignments.assignments[0].value = input.aegis_url;
const workflow = new Workflow({ ...given, id: 'w1', nodeTypes });

const issues = [];
for (const node of Object.values(workflow.nodes)) {
  const { description } = nodeTypes.getByNameAndVersion(node.type, node.typeVersion);
  const found = NodeHelpers.getNodeParametersIssues(description.properties, node, description);
  if (found && JSON.stringify(found) !== '{}') issues.push({ node: node.name, found });
  for (const name of Object.keys(given.nodes.find((n) => n.name === node.name).parameters)) {
    if (!description.properties.some((p) => p.name === name)) issues.push({ node: node.name, found: `has no parameter ${name}` });
  }
}
for (const [from, outputs] of Object.entries(given.connections))
  for (const to of outputs.main.flat()) {
    if (!workflow.nodes[from] || !workflow.nodes[to.node]) issues.push({ node: from, found: `leads to no node: ${to.node}` });
  }

const runData = {};
const requests = [];
const ran = {};
const run = createRunExecutionData ? createRunExecutionData({ resultData: { runData } }) : { resultData: { runData } };
const keys = { $execution: { id: 'e1', mode: 'test', resumeUrl: '', resumeFormUrl: 'https://n8n.test/form' } };

function valueOf(node, name, items, index, fallback) {
  const raw = node.parameters[name];
  if (raw === undefined) return fallback;
  const connected = items.map((item, i) => ({ json: item, pairedItem: { item: i } }));
  return workflow.expression.getParameterValue(raw, run, 0, index, node.name, connected, 'manual', keys);
}

async function conductNode(node, items) {
  switch (named(node.type)) {
    case 'webhook': case 'executeWorkflowTrigger': case 'noOp': return [items];
    case 'executeWorkflow': return [items];
    case 'set': return [items.map((item, i) => {
      const own = valueOf(node, 'assignments', items, i).assignments.map((a) => [a.name, a.value]);
      return { ...(node.parameters.includeOtherFields ? item : {}), ...Object.fromEntries(own) };
    })];
    case 'splitOut': return [items.flatMap((item, i) => item[valueOf(node, 'fieldToSplitOut', items, i)])];
    case 'if': {
      const out = [[], []];
      items.forEach((item, i) => out[executeFilter(valueOf(node, 'conditions', items, i)) ? 0 : 1].push(item));
      return out;
    }
    case 'switch': {
      const count = node.parameters.rules.values.length;
      const out = Array.from({ length: count + 1 }, () => []);
      items.forEach((item, i) => {
        const rules = valueOf(node, 'rules', items, i).values;
        const hit = rules.findIndex((rule) => executeFilter(rule.conditions));
        out[hit < 0 ? count : hit].push(item);
      });
      return out;
    }
    case 'wait': return [items.map(() => input.form ?? {})];
    case 'httpRequest': {
      const out = [];
      for (let i = 0; i < items.length; i++) {
        const headers = { Authorization: `Bearer ${input.token}` };
        for (const h of valueOf(node, 'headerParameters', items, i, { parameters: [] }).parameters) headers[h.name] = String(h.value);
        let body = valueOf(node, 'jsonBody', items, i);
        if (body !== undefined) {
          body = typeof body === 'string' ? body : JSON.stringify(body);
          headers['Content-Type'] = 'application/json';
        }
        const url = valueOf(node, 'url', items, i);
        const answer = await fetch(url, { method: node.parameters.method, headers, body, redirect: 'manual' });
        requests.push({ node: node.name, method: node.parameters.method, url, headers, body, status: answer.status });
        const said = await answer.json();
        if (answer.status >= 400) return [out, [...out, { error: said }]];
        out.push(said);
      }
      return [out, []];
    }
    default: throw new Error(`conduct.cjs does not know ${node.type}`);
  }
}

async function conduct(name, items) {
  if (!items.length) return;
  const node = workflow.nodes[name];
  const outputs = await conductNode(node, items);
  ran[name] = outputs;
  runData[name] = [{
    startTime: 0, executionTime: 0, executionIndex: 0, executionStatus: 'success', source: [],
    data: { main: outputs.map((o) => o.map((json, i) => ({ json, pairedItem: { item: i } }))) },
  }];
  const next = given.connections[name]?.main ?? [];
  for (let output = 0; output < outputs.length; output++)
    for (const to of next[output] ?? []) await conduct(to.node, outputs[output]);
}

(async () => {
  if (workflow.expression.acquireIsolate) await workflow.expression.acquireIsolate();
  const start = given.nodes.find((n) => ['webhook', 'executeWorkflowTrigger'].includes(named(n.type)));
  if (input.trigger) await conduct(start.name, [input.trigger]);
  process.stdout.write(JSON.stringify({ issues, requests, ran }));
  process.exit(0);
})().catch((error) => { console.error(error); process.exit(1); });
