"""The application."""

from fastapi import FastAPI

from onetrip.fastapi import lifespan

from .db import db
from .routes import router

app = FastAPI(lifespan=lifespan(db))
app.include_router(router)
