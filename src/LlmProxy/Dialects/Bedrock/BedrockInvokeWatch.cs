using System.Buffers;
using LlmProxy.Dialects.Anthropic;
using Shared.Http;

namespace LlmProxy.Dialects.Bedrock;

/// <summary>Watches a stream in Anthropic's format for a client of InvokeModelWithResponseStream.</summary>
internal sealed class BedrockInvokeWatch(string expectedModel) : AnthropicStreamWatch(expectedModel)
{
    private static readonly byte[] Last = NewLast();

    /// <inheritdoc/>
    public override ReadOnlySpan<byte> LastEvent => Last;

    /// <inheritdoc/>
    public override void WriteError(GatewayError error, IBufferWriter<byte> output) => BedrockErrors.WriteException(output, error.Status, error.Message);

    private static byte[] NewLast()
    {
        var output = new ArrayBufferWriter<byte>();
        BedrockChunks.Write(output, "{\"type\":\"message_stop\"}"u8);
        return output.WrittenSpan.ToArray();
    }
}
