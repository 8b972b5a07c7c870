"""Brings a workflow forward: makes the nodes that are due, ends those that are through, runs the exit handler."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from workflows.local import dag, retry, status
from workflows.local.enforce import refuse_pod
from workflows.local.record import PodRecord, Workflow
from workflows.local.status import BROKEN, ERROR, FINAL, OMITTED, PENDING, RUNNING, SUCCEEDED, Node
from workflows.local.variables import substitute, tags

OMITTED_MESSAGE = "omitted: depends condition not met"


class Advance:
    """One step of one workflow; everything happens in memory, at the time `now`."""

    def __init__(self, workflow: Workflow, now: float) -> None:
        self.workflow = workflow
        self.now = now
        self.spec: Mapping[str, Any] = workflow.manifest["spec"]

    def run(self) -> None:
        """Advances as far as it goes without anything new from outside."""
        workflow = self.workflow
        if workflow.finished:  # the engine ended between the last write and the cleaning up
            return
        if not workflow.status:
            self._start()
        root = workflow.node(workflow.name) or self._begin(
            workflow.name, self.spec["entrypoint"], self._arguments(), title=workflow.name
        )
        self._continue(root)
        if workflow.settled(root):
            self._finish(root)

    def _start(self) -> None:
        workflow = self.workflow
        workflow.set(workflow.status, phase=RUNNING, startedAt=status.timestamp(self.now))
        if self.spec.get("activeDeadlineSeconds") is not None:
            workflow.deadline = self.now + self.spec["activeDeadlineSeconds"]
        claims = [template["metadata"]["name"] for template in self.spec.get("volumeClaimTemplates") or []]
        bound = [{"name": name, "persistentVolumeClaim": {"claimName": f"{workflow.name}-{name}"}} for name in claims]
        workflow.set(workflow.status, persistentVolumeClaims=bound or None)

    def _arguments(self) -> dict[str, str]:
        parameters = (self.spec.get("arguments") or {}).get("parameters") or []
        return {parameter["name"]: text(parameter["value"]) for parameter in parameters}

    def _begin(
        self,
        name: str,
        template_name: str,
        arguments: Mapping[str, str],
        *,
        title: str,
        boundary: str | None = None,
        handler: bool = False,
    ) -> Node:
        """Makes the node of a template: a DAG, a Retry node, or a Pod."""
        workflow = self.workflow
        template = workflow.templates[template_name]
        inputs = _inputs(template, arguments)
        if template.get("retryStrategy") is None and "container" in template:
            return self._pod(name, template, inputs, title=title, boundary=boundary, handler=handler)
        kind = "DAG" if "dag" in template else "Retry"
        node = status.new_node(
            workflow.name, name, kind=kind, template=template_name, phase=RUNNING, now=self.now, boundary=boundary,
            title=_title(template, inputs, title),
        )  # fmt: skip
        _put_inputs(node, inputs)
        if handler:
            node["nodeFlag"] = {"hooked": True}
        return workflow.add(node)

    def _pod(
        self,
        name: str,
        template: Mapping[str, Any],
        inputs: Mapping[str, str],
        *,
        title: str,
        boundary: str | None,
        handler: bool = False,
        retry_of: Node | None = None,
        attempt: int = 0,
    ) -> Node:
        workflow = self.workflow
        node = status.new_node(
            workflow.name, name, kind="Pod", template=template["name"], phase=PENDING, now=self.now,
            # A controller gives the name for people to the Retry node alone, not to its tries.
            boundary=boundary, title=f"{title}({attempt})" if retry_of else _title(template, inputs, title),
        )  # fmt: skip
        node["taskResultSynced"] = True
        flags = {"hooked": True} if handler else {}
        if retry_of is not None:
            flags["retried"] = True
        if flags:
            node["nodeFlag"] = flags
        _put_inputs(node, inputs)
        scope = {**self._globals(handler), **{f"inputs.parameters.{key}": value for key, value in inputs.items()}}
        scope |= {"pod.name": status.pod_name(workflow.name, template["name"], name), "node.name": name}
        if retry_of is not None:
            scope["retries"] = str(attempt)
        record = PodRecord(template=template["name"], scope=scope, queued=self.now, exit_handler=handler)
        workflow.add(node)
        workflow.pods[node["id"]] = record
        # Looked for in what was written, not in the values: a message of failure may hold braces of its own.
        handed_on = {tag for tag in tags(list(inputs.values())) if tag.startswith("tasks.")}
        unresolved = sorted({*tags(template["container"]), *handed_on} - scope.keys())
        if unresolved:
            self._end(node, ERROR, f"no value for {', '.join(unresolved)}")
            workflow.mark(record, finished=self.now)
        else:
            refuse_pod(workflow, node, record, now=self.now)
        return node

    def _globals(self, handler: bool) -> dict[str, str]:
        workflow = self.workflow
        scope = {"workflow.name": workflow.name, "workflow.uid": workflow.metadata["uid"]}
        scope["workflow.namespace"] = workflow.manifest["metadata"].get("namespace", "default")
        scope |= {f"workflow.parameters.{key}": value for key, value in self._arguments().items()}
        if handler:
            scope["workflow.status"] = workflow.nodes[workflow.name]["phase"]
            scope["workflow.failures"] = failures(workflow)
        return scope

    def _continue(self, node: Node, *, handler: bool = False) -> None:
        if self.workflow.settled(node):
            return
        if node["type"] == "DAG":
            self._dag(node, handler)
        elif node["type"] == "Retry":
            self._retry(node, handler)

    def _dag(self, node: Node, handler: bool) -> None:
        workflow = self.workflow
        graph = dag.graph(workflow.templates[node["templateName"]])
        cut = workflow.cut and not handler
        made = {task["name"]: workflow.node(f"{node['name']}.{task['name']}") for task in graph.tasks}
        closed = cut or (graph.fail_fast and dag.broken(graph, _phases(made)))
        for task in graph.tasks:
            name = task["name"]
            child = made[name]
            if child is None:
                parents = [made[parent] for parent in graph.depends[name].tasks]
                if closed or not all(parent is not None and workflow.settled(parent) for parent in parents):
                    continue
                child = made[name] = self._task(node, task, graph, made, handler)
                above = [found for parent in parents if parent for found in status.outbound(workflow.nodes, parent)]
                for parent_id in above or [node["id"]]:
                    workflow.hang(parent_id, child["id"])
            self._continue(child, handler=handler)
        unsettled = any(child is not None and not workflow.settled(child) for child in made.values())
        phase = dag.assess(graph, _phases(made), unsettled=unsettled, cut=cut)
        if phase in FINAL:
            ends = [
                found
                for target in graph.targets
                if (child := made[target])
                for found in status.outbound(workflow.nodes, child)
            ]
            workflow.set(node, outboundNodes=ends if ends and not cut else None)
            self._end(node, phase, None)

    def _task(
        self, parent: Node, task: Mapping[str, Any], graph: dag.Graph, made: Mapping[str, Node | None], handler: bool
    ) -> Node:
        name = f"{parent['name']}.{task['name']}"
        if not graph.depends[task["name"]].holds(_phases(made)):
            template = self.workflow.templates[task["template"]]
            node = status.new_node(
                self.workflow.name, name, kind="Skipped", template=template["name"], phase=OMITTED, now=self.now,
                boundary=parent["id"], title=_title(template, {}, task["name"]),
            )  # fmt: skip
            node |= {"message": OMITTED_MESSAGE, "nodeFlag": {}, "finishedAt": status.timestamp(self.now)}
            return self.workflow.add(node)
        scope = self._globals(handler)
        for parameter in (parent.get("inputs") or {}).get("parameters", []):
            scope[f"inputs.parameters.{parameter['name']}"] = parameter["value"]
        for other, node_made in made.items():
            if node_made is not None:
                scope |= _results(other, node_made)
        parameters = (task.get("arguments") or {}).get("parameters") or []
        arguments = {item["name"]: substitute(text(item["value"]), scope) for item in parameters}
        return self._begin(
            name, task["template"], arguments, title=task["name"], boundary=parent["id"], handler=handler
        )

    def _retry(self, node: Node, handler: bool) -> None:
        workflow = self.workflow
        template = workflow.templates[node["templateName"]]
        made = [workflow.node(f"{node['name']}({index})") for index in range(len(node.get("children", [])))]
        attempts = [attempt for attempt in made if attempt is not None]
        if attempts:
            last = attempts[-1]
            if not workflow.settled(last):
                return
            if last["phase"] == SUCCEEDED:
                workflow.set(node, outputs=last.get("outputs"))
                self._end(node, SUCCEEDED, None)
                return
            decision = self._decide(template, attempts)
            if decision.kind == "wait":
                workflow.set(node, message=decision.message)
                return
            if decision.kind == "end":
                if workflow.shutdown is None:
                    workflow.set(node, outputs=last.get("outputs"))
                self._end(node, last["phase"], decision.message)
                return
        workflow.set(node, message=None)
        inputs = {item["name"]: item["value"] for item in (node.get("inputs") or {}).get("parameters", [])}
        title = node["name"].rpartition(".")[2] if node.get("boundaryID") else node["name"]
        child = self._pod(
            f"{node['name']}({len(attempts)})", template, inputs, title=title, boundary=node.get("boundaryID"),
            handler=handler, retry_of=node, attempt=len(attempts),
        )  # fmt: skip
        workflow.hang(node["id"], child["id"])

    def _decide(self, template: Mapping[str, Any], attempts: list[Node]) -> retry.Decision:
        workflow = self.workflow
        first, last = (workflow.pods[attempts[index]["id"]] for index in (0, -1))
        handler = last.exit_handler
        stopped = workflow.shutdown if not handler or workflow.shutdown == "Terminate" else None
        begun = last.started if last.started is not None else last.queued
        return retry.decide(
            template["retryStrategy"],
            retry.Attempt(node=attempts[-1], started=begun, finished=last.finished or self.now),
            attempts=len(attempts),
            first_started=first.queued,
            now=self.now,
            shutdown=stopped,
            deadline=None if handler else workflow.deadline,
        )

    def _finish(self, root: Node) -> None:
        workflow = self.workflow
        phase, message = root["phase"], root.get("message")
        if phase in BROKEN and workflow.shutdown is not None:
            message = f"Stopped with strategy '{workflow.shutdown}'"
        name = f"{workflow.name}.onExit"
        handler = workflow.node(name)
        if handler is None and self.spec.get("onExit") and workflow.shutdown != "Terminate":
            handler = self._begin(name, self.spec["onExit"], self._arguments(), title=name, handler=True)
        if handler is not None:
            self._continue(handler, handler=True)
            if not workflow.settled(handler):
                return
            if phase == SUCCEEDED and handler["phase"] in BROKEN:
                phase, message = handler["phase"], handler.get("message")
        workflow.set(workflow.status, phase=phase, message=message, finishedAt=status.timestamp(self.now))
        if (self.spec.get("volumeClaimGC") or {}).get("strategy") == "OnWorkflowCompletion" or phase == SUCCEEDED:
            workflow.set(workflow.status, persistentVolumeClaims=None)

    def _end(self, node: Node, phase: str, message: str | None) -> None:
        self.workflow.set(node, phase=phase, message=message or None, finishedAt=status.timestamp(self.now))


def failures(workflow: Workflow) -> str:
    """Returns `{{workflow.failures}}`: a JSON text that holds the JSON list of all failed nodes."""
    listed = [
        {
            "displayName": node["displayName"],
            "message": node.get("message", ""),
            "templateName": node["templateName"],
            "phase": node["phase"],
            "podName": status.pod_name(workflow.name, node["templateName"], node["name"]),
            "finishedAt": node.get("finishedAt"),
        }
        for node in workflow.nodes.values()
        if node["phase"] in BROKEN
    ]
    return json.dumps(json.dumps(listed or None, ensure_ascii=False), ensure_ascii=False)


def text(value: Any) -> str:
    """Returns a parameter's value as the text that replaces its variable."""
    return value if isinstance(value, str) else json.dumps(value)


def _phases(made: Mapping[str, Node | None]) -> dict[str, str]:
    return {name: node["phase"] for name, node in made.items() if node is not None}


def _results(task: str, node: Node) -> dict[str, str]:
    outputs = node.get("outputs") or {}
    found = {f"tasks.{task}.status": node["phase"]}
    if "exitCode" in outputs:
        found[f"tasks.{task}.exitCode"] = outputs["exitCode"]
    for parameter in outputs.get("parameters", []):
        if "value" in parameter:
            found[f"tasks.{task}.outputs.parameters.{parameter['name']}"] = parameter["value"]
    return found


def _inputs(template: Mapping[str, Any], arguments: Mapping[str, str]) -> dict[str, str]:
    declared = (template.get("inputs") or {}).get("parameters") or []
    found = {item["name"]: arguments.get(item["name"], item.get("value", item.get("default"))) for item in declared}
    return {name: text(value) for name, value in found.items() if value is not None}


def _put_inputs(node: Node, inputs: Mapping[str, str]) -> None:
    if inputs:
        node["inputs"] = {"parameters": [{"name": name, "value": value} for name, value in inputs.items()]}


def _title(template: Mapping[str, Any], inputs: Mapping[str, str], default: str) -> str:
    annotations = template.get("annotations") or (template.get("metadata") or {}).get("annotations") or {}
    title = annotations.get(status.DISPLAY_NAME)
    if not title:
        return default
    return str(substitute(title, {f"inputs.parameters.{name}": value for name, value in inputs.items()}))
