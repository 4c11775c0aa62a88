"""What Elasticsearch 9 does with a bulk request to data streams, one item at a time."""

import orjson

LONGEST_ID = 512


class Streams:
    """Ids and documents by stream. ``told`` counts items by status, ``fate`` gives an item another one."""

    def __init__(self):
        self.documents = {}
        self.failures = {}
        self.told = {}
        self.is_mended = False
        """Lines are no longer minded for what they say."""

    def bulk(self, lines, refuse=lambda: None):
        """The items of the answer; ``refuse`` may say the status of an item that the cluster has no room for now."""
        items = []
        for action, source in zip(lines[::2], lines[1::2], strict=True):
            ((operation, target),) = orjson.loads(action).items()
            item = refuse() or self._item(operation, target, source)
            self.told[item["status"]] = self.told.get(item["status"], 0) + 1
            items.append({operation: {"_index": _behind(target["_index"]), "_id": target.get("_id")} | item})
        return items

    def _item(self, operation, target, source):
        stream, name = target["_index"], target.get("_id", "")
        if operation != "create":
            return fault(
                400,
                "illegal_argument_exception",
                "only write ops with an op_type of create are allowed in data streams",
            )
        if not stream.startswith("logs-") or stream != stream.lower():
            return fault(404, "index_not_found_exception", f"no such index [{stream}]")
        if not 0 < len(name.encode()) <= LONGEST_ID:
            return fault(
                400, "illegal_argument_exception", f"id [{name}] is empty or too long, must be no longer than 512 bytes"
            )
        if name in self.documents.setdefault(stream, {}):
            return fault(
                409,
                "version_conflict_engine_exception",
                f"[{name}]: version conflict, document already exists (current version [1])",
            )
        return self._stored(stream, name, source)

    def _stored(self, stream, name, source):
        try:
            document = orjson.loads(source)
        except orjson.JSONDecodeError as reason:
            return fault(400, "document_parsing_exception", f"failed to parse: {reason}")
        if not isinstance(document.get("@timestamp"), str):
            return fault(400, "document_parsing_exception", "data stream timestamp field [@timestamp] is missing")
        match None if self.is_mended else document.get("labels", {}).get("fault"):
            case "mapping":
                return fault(
                    400,
                    "document_parsing_exception",
                    "[1:20] object mapping for [labels.x] tried to parse field [x] as object, but found a value",
                )
            case "failure_store":
                self.failures[name] = document
                return _created() | {"failure_store": "used"}
        self.documents[stream][name] = document
        return _created()


def _created():
    return {
        "_version": 1,
        "result": "created",
        "_shards": {"total": 2, "successful": 1, "failed": 0},
        "_seq_no": 0,
        "_primary_term": 1,
        "status": 201,
    }


def fault(status, kind, reason):
    return {"status": status, "error": {"type": kind, "reason": reason}}


def _behind(stream):
    return f".ds-{stream}-2026.11.21-000001"


def narrowed(answer, paths):
    """What ``filter_path`` leaves of an answer."""
    if not paths:
        return answer
    wanted = [path.split(".") for path in paths.split(",")]
    return _kept(answer, wanted)


def _kept(value, wanted):
    if any(not rest for rest in wanted):
        return value
    if isinstance(value, list):
        return [_kept(each, wanted) for each in value]
    if not isinstance(value, dict):
        return None
    kept = {}
    for key, inner in value.items():
        rest = [path[1:] for path in wanted if path[0] in {key, "*"}]
        if rest and (left := _kept(inner, rest)) is not None:
            kept[key] = left
    return kept
