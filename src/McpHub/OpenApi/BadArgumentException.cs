namespace McpHub.OpenApi;

/// <summary>An argument of a call cannot be sent. The message is for the caller: it names the argument and what is expected.</summary>
internal sealed class BadArgumentException(string message) : Exception(message);
