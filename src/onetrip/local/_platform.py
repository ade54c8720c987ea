"""Tell a developer's machine from a platform that throws its disks away."""

import os

from onetrip.errors import ConfigurationError

_MARKERS = {
    "KUBERNETES_SERVICE_HOST": "Kubernetes",
    "AWS_LAMBDA_FUNCTION_NAME": "AWS Lambda",
    "AWS_EXECUTION_ENV": "AWS",
    "ECS_CONTAINER_METADATA_URI_V4": "AWS ECS",
    "K_SERVICE": "Google Cloud Run",
    "FUNCTIONS_WORKER_RUNTIME": "Azure Functions",
    "WEBSITE_INSTANCE_ID": "Azure App Service",
    "VERCEL": "Vercel",
    "FLY_APP_NAME": "Fly.io",
    "RENDER": "Render",
    "RAILWAY_ENVIRONMENT": "Railway",
    "RAILWAY_PROJECT_ID": "Railway",
    "DYNO": "Heroku",
}


def refuse_on_platform() -> None:
    """Raise ConfigurationError where a deployment platform's marker is in the environment."""
    for marker, platform in _MARKERS.items():
        if os.environ.get(marker):
            raise ConfigurationError(
                f"no DATABASE_URL, and this looks like {platform} ({marker} is set): a forgotten DATABASE_URL "
                "must not acknowledge writes to a disk that is thrown away, so no embedded server is started",
                hint="set DATABASE_URL; if this is a development machine all the same: onetrip local start, "
                'then DATABASE_URL="$(onetrip local url --reveal)"',
            )
