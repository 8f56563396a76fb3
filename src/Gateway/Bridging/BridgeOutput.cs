using System.Buffers;
using System.Text.Json;
using System.Text.Encodings.Web;
using McpHub.Upstreams;

namespace Gateway.Bridging;

/// <summary>Writes messages to the client, each on a line of its own.</summary>
internal sealed class BridgeOutput(Stream output)
{
    private static readonly JsonWriterOptions Relaxed = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly Lock gate = new();
    private readonly ArrayBufferWriter<byte> line = new(4096);

    /// <summary>Writes a message as it is; line breaks between its tokens are left out. Waits while the client does not read.</summary>
    public void Write(ReadOnlySpan<byte> message)
    {
        lock (gate)
        {
            line.ResetWrittenCount();
            RawJson.WriteCompact(message, line);
            line.Write("\n"u8);
            output.Write(line.WrittenSpan);
            output.Flush();
        }
    }

    /// <summary>Answers a request with an error.</summary>
    /// <param name="id">The request's raw id; "": it is not known.</param>
    /// <param name="failure">What happened.</param>
    public void WriteError(string id, BridgeException failure)
    {
        var text = new ArrayBufferWriter<byte>(256);
        using var writer = new Utf8JsonWriter(text, Relaxed);
        writer.WriteStartObject();
        writer.WriteString("jsonrpc", "2.0");
        writer.WritePropertyName("id");
        writer.WriteRawValue(id.Length == 0 ? "null" : id, skipInputValidation: true);
        writer.WritePropertyName("error");
        if (failure.Error.IsEmpty)
        {
            writer.WriteStartObject();
            writer.WriteNumber("code", failure.Code);
            writer.WriteString("message", failure.Message);
            writer.WriteEndObject();
        }
        else
        {
            writer.WriteRawValue(failure.Error.Span, skipInputValidation: true);
        }
        writer.WriteEndObject();
        writer.Flush();
        Write(text.WrittenSpan);
    }
}

/// <summary>What the bridge says of itself, on standard error: clients keep it in their log of the server.</summary>
internal sealed class BridgeLog(TextWriter error)
{
    private readonly Lock gate = new();

    /// <summary>Writes a line.</summary>
    public void Write(string text)
    {
        lock (gate)
        {
            error.WriteLine("gateway bridge: " + text);
            error.Flush();
        }
    }
}
