"""Programs that run once inside the cluster: load generators, audits, probes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from localkube.api import Json
from localkube.clock import until
from localkube.errors import CommandError
from localkube.kubectl import Kubectl

IMAGE_USER = 10001
# Pod Security "restricted": a job runs where nodes run.
POD_SECURITY: Json = {
    "runAsNonRoot": True,
    "runAsUser": IMAGE_USER,
    "fsGroup": IMAGE_USER,
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER_SECURITY: Json = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run of a program in an image that every node has."""

    name: str
    namespace: str
    image: str
    args: Sequence[str]  # replace the image's command
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)  # Secret name -> directory in the pod

    def manifest(self) -> Json:
        """Return the Kubernetes Job: one attempt, a scratch directory, the secrets read-only."""
        mounts = [{"name": "scratch", "mountPath": "/tmp"}]
        volumes: list[Json] = [{"name": "scratch", "emptyDir": {}}]
        for index, (secret, directory) in enumerate(self.secrets.items()):
            mounts.append({"name": f"secret-{index}", "mountPath": directory})
            volumes.append({"name": f"secret-{index}", "secret": {"secretName": secret}})
        container = {
            "name": "main",
            "image": self.image,
            "imagePullPolicy": "Never",
            "command": list(self.args),
            "env": [{"name": name, "value": value} for name, value in self.env.items()],
            "securityContext": CONTAINER_SECURITY,
            "volumeMounts": mounts,
        }
        pod = {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": POD_SECURITY,
            "containers": [container],
            "volumes": volumes,
        }
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": {"backoffLimit": 0, "template": {"spec": pod}},
        }


def run_job(kubectl: Kubectl, job: Job, *, deadline_s: float) -> str:
    """Run a job to its end and return its logs.

    Raises:
        CommandError: it failed; carries its logs.
        DeadlineError: it did not end in time.
    """
    kubectl.apply(job.manifest())
    succeeded = until(f"job {job.name}", lambda: outcome(kubectl, job), deadline_s=deadline_s)
    logs = kubectl("logs", f"--namespace={job.namespace}", f"job/{job.name}")
    if succeeded == "failed":
        raise CommandError(f"job {job.name}", 1, logs)
    return logs


def outcome(kubectl: Kubectl, job: Job) -> str:
    """Return "succeeded", "failed", or "" while the job runs."""
    status = kubectl.get("job", job.name, f"--namespace={job.namespace}").get("status", {})
    return next((word for word in ("succeeded", "failed") if status.get(word)), "")
