"""The application."""

from fastapi import FastAPI

from .routes import router

app = FastAPI()
app.include_router(router)


@app.get("/health-check")
def health_check() -> bool:
    """Say that the process answers."""
    return True
