"""What the tools that people chat and trace with write out: who was shown what, and the feedback beside it."""

from __future__ import annotations

from tacit.data.exports import fastchat, langfuse, langsmith, librechat, openwebui, phoenix
from tacit.data.source import Source

SOURCES = {
    "openwebui": Source("Open WebUI chats", openwebui.detect_chats, openwebui.load_chats, openwebui.SIGNALS),
    "openwebui_feedback": Source(
        "Open WebUI feedback (only chats in which something was rated: rates say nothing of the others)",
        openwebui.detect_feedback,
        openwebui.load_feedback,
        openwebui.SIGNALS,
    ),
    "librechat": Source(
        "LibreChat messages", librechat.detect_messages, librechat.load_messages, librechat.SIGNALS
    ),
    "librechat_conversation": Source(
        "LibreChat conversations",
        librechat.detect_conversations,
        librechat.load_conversations,
        librechat.SIGNALS,
    ),
    "fastchat": Source("FastChat log", fastchat.detect, fastchat.load, fastchat.SIGNALS, fastchat.confirm),
    "langfuse": Source("Langfuse traces and scores", langfuse.detect, langfuse.load),
    "langsmith": Source("LangSmith runs and feedback", langsmith.detect, langsmith.load),
    "phoenix": Source("Phoenix spans and annotations", phoenix.detect, phoenix.load),
}

__all__ = ["SOURCES"]
