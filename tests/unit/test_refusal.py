"""A final refusal is recognised by what the registry says, whichever registry it is, and by nothing else."""

import pytest

from tagger.registry.refusal import Why, reason

# Answers in the registries' own words.
SAID = {
    "Amazon ECR": (
        400,
        (
            "TAG_INVALID: The image tag '2.1.403' already exists in the 'app' repository and cannot be overwritten"
            " because the repository is immutable."
        ),
        Why.IMMUTABLE,
    ),
    "Amazon ECR, a rule for some tags": (
        400,
        (
            "TAG_INVALID: The image tag 'latest' already exists in the 'app' repository and cannot be overwritten"
            " because the tag is immutable."
        ),
        Why.IMMUTABLE,
    ),
    "Docker Hub": (
        403,
        (
            "DENIED: requested access to the resource is denied. This tag is already assigned to an image in this"
            " repository and cannot be updated due to immutability settings. Please push with a different tag."
        ),
        Why.IMMUTABLE,
    ),
    "Harbor": (412, "PRECONDITION: Failed to process request due to 'app:2.1' configured as immutable.", Why.IMMUTABLE),
    "Azure Container Registry, locked": (
        405,
        "REGISTRY_DISALLOWED_OPERATION: The operation is disallowed on this registry, repository or image.",
        Why.IMMUTABLE,
    ),
    "Nexus": (400, "UNKNOWN: Repository does not allow updating assets: docker-hosted", Why.IMMUTABLE),
    "GitLab, a protected tag": (403, "DENIED: tag is protected", Why.IMMUTABLE),
    "Nexus, later": (409, "cannot be updated as asset already exists and redeploy is not allowed", Why.IMMUTABLE),
    "one with a code alone": (409, "TAG_ALREADY_EXISTS", Why.IMMUTABLE),
    "Harbor, read-only": (
        403,
        "DENIED: The system is in read only mode. Any modification is prohibited.",
        Why.READ_ONLY,
    ),
    "distribution, read-only": (405, "UNSUPPORTED: The registry is in read-only mode.", Why.READ_ONLY),
    "GitHub, archived": (403, "DENIED: Repository was archived so is read-only.", Why.READ_ONLY),
    "one that answers 500": (500, "UNKNOWN: tag latest is immutable", Why.IMMUTABLE),
    "Harbor, quota": (
        403,
        (
            "DENIED: adding 29.0 MiB of storage resource, which when updated to current usage of 152.4 MiB will exceed"
            " the configured upper limit of 10.0 MiB."
        ),
        Why.QUOTA,
    ),
    "Quay, quota": (403, "DENIED: Quota has been exceeded on namespace", Why.QUOTA),
    "Amazon ECR, quota": (400, "LimitExceededException: The operation did not succeed", Why.QUOTA),
    "one whose account is unpaid": (402, "", Why.QUOTA),
    "one that is full": (507, "", Why.QUOTA),
    "Amazon ECR, no repository": (
        404,
        "NAME_UNKNOWN: The repository with name 'app' does not exist in the registry with id '012345678901'",
        Why.NO_REPOSITORY,
    ),
    "Artifact Registry": (404, 'NAME_UNKNOWN: Repository "docker" not found', Why.NO_REPOSITORY),
    "Harbor, no project": (404, "NOT_FOUND: project nobody not found", Why.NO_REPOSITORY),
    "Amazon ECR, no right": (
        403,
        "DENIED: User: arn:aws:iam::012345678901:user/ci is not authorized to perform: ecr:PutImage on resource: app",
        Why.NO_RIGHT,
    ),
    "one with a token that may only read": (403, "DENIED: this is a read-only token", Why.NO_RIGHT),
    "any, without a login": (401, "UNAUTHORIZED: authentication required", Why.NO_RIGHT),
    "Artifactory, no right to delete": (
        403,
        "Not enough permissions to delete/overwrite artifact 'local:app/2.1/manifest.json' (user 'ci' needs DELETE)",
        Why.NO_RIGHT,
    ),
}
TRANSIENT = {
    "Docker Hub": (429, "TOOMANYREQUESTS: You have reached your pull rate limit"),
    "Artifact Registry": (429, "RESOURCE_EXHAUSTED: Quota exceeded for quota metric 'Requests per project per minute'"),
    "one that is down": (503, ""),
    "one under maintenance": (503, "UNAVAILABLE: the registry is in maintenance mode"),
    "one that is busy and says it in another way": (400, "too many requests, the quota is 100 per minute"),
    "one that knows no manifest": (404, "MANIFEST_UNKNOWN: manifest unknown"),
    "one that takes no such manifest": (400, "MANIFEST_INVALID: manifest invalid"),
}


@pytest.mark.parametrize("registry", SAID)
def test_a_permanent_refusal_is_recognized_by_its_words(registry: str) -> None:
    status, said, why = SAID[registry]
    assert reason(said, status) is why


@pytest.mark.parametrize(
    "registry", [name for name, (status, *_) in SAID.items() if status not in (401, 402, 403, 507)]
)
def test_without_a_status_only_the_words_count(registry: str) -> None:
    _, said, why = SAID[registry]
    assert reason(said) is why


@pytest.mark.parametrize("registry", TRANSIENT)
def test_a_temporary_failure_is_not_a_refusal(registry: str) -> None:
    status, said = TRANSIENT[registry]
    assert reason(said, status) is None


@pytest.mark.parametrize("name", ["immutable", "team/immutable-quota", "quota"])
def test_a_word_in_a_repository_s_name_is_not_a_reason(name: str) -> None:
    assert reason(f"DENIED: access to {name} is denied", 403, name) is Why.NO_RIGHT
    assert reason(f"DENIED: access to '{name}' is denied", 403) is Why.NO_RIGHT


def test_an_apostrophe_is_not_a_quotation_mark() -> None:
    assert reason("DENIED: you can't write to this, the tag's immutable and that won't change", 403) is Why.IMMUTABLE


def test_a_short_name_hides_no_reason() -> None:
    assert reason("DENIED: a tag is immutable", 403, "a") is Why.IMMUTABLE
