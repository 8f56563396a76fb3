using System.Buffers;
using System.Buffers.Text;
using System.Text.Json;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Bedrock;

/// <summary>The events of InvokeModelWithResponseStream: messages named <c>chunk</c>, whose <c>bytes</c> hold an event of the model's own format in base64.</summary>
internal static class BedrockChunks
{
    /// <summary>The name of such a message.</summary>
    public static ReadOnlySpan<byte> Name => "chunk"u8;

    /// <summary>Writes one.</summary>
    /// <param name="output">Receives it.</param>
    /// <param name="data">The event of the model's format.</param>
    public static void Write(IBufferWriter<byte> output, ReadOnlySpan<byte> data)
    {
        var encoded = Base64.GetMaxEncodedToUtf8Length(data.Length);
        var payload = ArrayPool<byte>.Shared.Rent(encoded + 12);
        "{\"bytes\":\""u8.CopyTo(payload);
        Base64.EncodeToUtf8(data, payload.AsSpan(10), out _, out var written);
        "\"}"u8.CopyTo(payload.AsSpan(10 + written));
        AwsEventStreamWriter.WriteEvent(output, Name, payload.AsSpan(0, written + 12));
        ArrayPool<byte>.Shared.Return(payload);
    }

    /// <summary>Reads what a message's payload holds.</summary>
    /// <param name="payload">The payload.</param>
    /// <param name="data">Receives the event; grows as it must.</param>
    /// <param name="length">The event's length.</param>
    /// <returns>False: it holds none.</returns>
    public static bool TryRead(ReadOnlySpan<byte> payload, ref byte[] data, out int length)
    {
        length = 0;
        try
        {
            for (var members = new SpanMembers(payload); members.Next();)
            {
                if (members.Is("bytes"u8) && members.Text.Length >= 2)
                {
                    var text = members.Text[1..^1];
                    if (data.Length < text.Length)
                    {
                        data = new byte[Math.Max(text.Length, 1024)];
                    }
                    // A slash may be written with a backslash before it.
                    return text.Contains((byte)'\\')
                        ? Base64.DecodeFromUtf8(System.Text.Encoding.UTF8.GetBytes(new Neutral.JsonText(members.Text.ToArray()).ToString()), data, out _, out length) == OperationStatus.Done
                        : Base64.DecodeFromUtf8(text, data, out _, out length) == OperationStatus.Done;
                }
            }
            return false;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
