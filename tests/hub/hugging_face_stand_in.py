"""A stand-in for the Hugging Face Hub on 127.0.0.1: as much of its protocol as its client asks for.

Written after the requests of `huggingface_hub` 2.4. A repository is a list of commits, each a table
of files; every upload is of the mode `regular`, whose content comes with the commit.
"""

import base64
import dataclasses
import hashlib
import http.server
import json
import urllib.parse


@dataclasses.dataclass
class Repository:
    """One repository: its commits, oldest first, and who may do what."""

    commits: list[tuple[str, dict[str, bytes]]]
    readable_by: str | None = None
    tags: dict[str, str] = dataclasses.field(default_factory=dict)

    def find(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """A commit by its id, its tag, or as `main`."""
        sha = self.commits[-1][0] if revision == "main" else self.tags.get(revision, revision)
        return next(((s, files) for s, files in self.commits if s == sha), None)

    def add(self, files: dict[str, bytes]) -> str:
        """A commit with these files on the newest."""
        before = self.commits[-1][1] if self.commits else {}
        sha = hashlib.sha1(f"{len(self.commits)} {sorted(files)}".encode()).hexdigest()
        self.commits.append((sha, {**before, **files}))
        return sha


class StandIn:
    """The state of the server.

    Attributes:
        repositories: by `owner/name`.
        writers: tokens that may write; others are known, or refused where not in `known`.
        known: tokens that are accepted.
        requests: (method, path) of every request.
        before_commit: called before a commit is looked at.
    """

    def __init__(self):
        self.repositories: dict[str, Repository] = {}
        self.writers, self.known = {"writer"}, {"writer", "reader"}
        self.requests: list[tuple[str, str]] = []
        self.before_commit = lambda: None

    def handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        """What a server calls."""
        state = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.answer()

            do_HEAD = do_POST = do_GET

            def log_message(self, *_):
                pass

            def answer(self):
                size = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(size)
                path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
                state.requests.append((self.command, path))
                token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
                if token and token not in state.known:
                    return self.fails(401, "Invalid credentials in Authorization header")
                parts = path.strip("/").split("/")
                if path == "/api/repos/create":
                    return self.create(token, json.loads(body))
                if path == "/api/validate-yaml":
                    valid = body and b"license:" in body
                    errors = [] if valid else [{"message": "license is missing"}]
                    return self.says({"errors": errors, "warnings": []})
                start = 2 if parts[:2] == ["api", "models"] else 0
                repository = state.repositories.get("/".join(parts[start : start + 2]))
                hidden = repository and repository.readable_by not in (None, token)
                if repository is None or hidden:
                    return self.fails(401 if not token else 404, "Repository not found", "Repo")
                rest = parts[start + 2 :]
                if rest[:1] == ["resolve"]:
                    return self.resolve(repository, rest[1], "/".join(rest[2:]))
                if rest[:1] in (["preupload"], ["commit"]) and token not in state.writers:
                    return self.fails(403 if token else 401, "You may not write here")
                if rest[:1] == ["preupload"]:
                    files = [f["path"] for f in json.loads(body)["files"]]
                    mode = {"uploadMode": "regular", "shouldIgnore": False, "oid": None}
                    return self.says({"files": [{"path": name, **mode} for name in files]})
                if rest[:1] == ["commit"]:
                    return self.commit("/".join(parts[2:4]), repository, body)
                found = repository.find(rest[1] if rest[:1] == ["revision"] else "main")
                if found is None:
                    return self.fails(404, "Revision not found", "Revision")
                return self.says({"id": "/".join(parts[2:4]), "sha": found[0], "siblings": []})

            def create(self, token, asked):
                if token not in state.writers:
                    return self.fails(403 if token else 401, "You may not create here")
                name = f"{asked['organization']}/{asked['name']}"
                if name in state.repositories:
                    return self.fails(409, "You already created this model repo")
                made = state.repositories[name] = Repository([])
                made.add({".gitattributes": b""})
                return self.says({"url": f"http://{self.headers['Host']}/{name}", "name": name})

            def resolve(self, repository, revision, path):
                found = repository.find(revision)
                if found is None:
                    return self.fails(404, "Revision not found", "Revision")
                sha, files = found
                if path not in files:
                    return self.fails(404, "Entry not found", "Entry", sha)
                content = files[path]
                self.send_response(200)
                self.send_header("X-Repo-Commit", sha)
                self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
                return self.sends(content)

            def commit(self, name, repository, body):
                state.before_commit()
                lines = [json.loads(line) for line in body.splitlines()]
                header = lines[0]["value"]
                if header.get("parentCommit") not in (None, repository.commits[-1][0]):
                    return self.fails(412, "A commit has happened since")
                files = {
                    line["value"]["path"]: base64.b64decode(line["value"]["content"])
                    for line in lines[1:]
                }
                sha = repository.add(files)
                url = f"http://{self.headers['Host']}/{name}/commit/{sha}"
                return self.says({"commitOid": sha, "commitUrl": url})

            def fails(self, status, message, what="", commit=None):
                self.send_response(status)
                if what:
                    self.send_header("X-Error-Code", f"{what}NotFound")
                if commit:
                    self.send_header("X-Repo-Commit", commit)
                self.send_header("X-Error-Message", message)
                return self.sends(json.dumps({"error": message}).encode())

            def says(self, content):
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                return self.sends(json.dumps(content).encode())

            def sends(self, content):
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

        return Handler
