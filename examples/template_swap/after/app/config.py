"""Settings from the environment; the database's are onetrip's own."""

from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What the environment has to say."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore")

    secret_key: str
    first_user: str = "first@example.com"


settings = Settings()  # type: ignore[call-arg]
