"""The same list and watch with the `kubernetes` package: prints what the list took, then each event.

In an environment of its own, as `python kubernetes_watch.py KUBECONFIG NAMESPACE`, until its standard input closes.
"""

import json
import os
import resource
import sys
import threading
import time

from kubernetes import client, config, watch

PLACE = ("argoproj.io", "v1alpha1", sys.argv[2], "workflows")
SELECTOR = "app.kubernetes.io/managed-by=tiphys,tiphys/job-id"


def end() -> None:
    sys.stdin.read()
    os._exit(0)


config.load_kube_config(sys.argv[1])
api = client.CustomObjectsApi()
began, kept, follow = time.monotonic(), {}, {}
while True:
    live = f"{SELECTOR},workflows.argoproj.io/completed!=true"
    page = api.list_namespaced_custom_object(*PLACE, label_selector=live, limit=500, **follow)
    kept |= {item["metadata"]["name"]: item for item in page["items"]}
    follow = {"_continue": page["metadata"].get("continue")}
    if not follow["_continue"]:
        break
took, rss = time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
print(json.dumps({"seconds": took, "cpu": time.process_time(), "count": len(kept), "mb": rss}), flush=True)
threading.Thread(target=end, daemon=True).start()
version = page["metadata"]["resourceVersion"]
for event in watch.Watch().stream(
    api.list_namespaced_custom_object, *PLACE, label_selector=SELECTOR, resource_version=version
):
    kept[event["object"]["metadata"]["name"]] = event["object"]
    print(json.dumps({"name": event["object"]["metadata"]["name"], "at": time.monotonic()}), flush=True)
