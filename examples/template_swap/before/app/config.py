"""Settings from the environment."""

from pydantic import PostgresDsn, computed_field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What the environment has to say."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore")

    secret_key: str
    first_user: str = "first@example.com"
    postgres_server: str
    postgres_port: int = 5432
    postgres_user: str
    postgres_password: str = ""
    postgres_db: str = ""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def database_uri(self) -> PostgresDsn:
        """The database's URL, put together."""
        return PostgresDsn.build(
            scheme="postgresql+psycopg",
            username=self.postgres_user,
            password=self.postgres_password,
            host=self.postgres_server,
            port=self.postgres_port,
            path=self.postgres_db,
        )


settings = Settings()  # type: ignore[call-arg]
