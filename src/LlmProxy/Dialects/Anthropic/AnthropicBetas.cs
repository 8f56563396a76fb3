using System.Buffers;
using LlmProxy.ChatCompletions;
using LlmProxy.Neutral;
using LlmProxy.Relay;
using LlmProxy.Routing;

namespace LlmProxy.Dialects.Anthropic;

/// <summary>The betas that a request asks for: they stand in a header, but on Bedrock in the body.</summary>
internal static class AnthropicBetas
{
    private const string Header = "anthropic-beta";

    /// <summary>Those in the client's header as a JSON array, for a provider that wants them in the body; null: there are none, or they go elsewhere.</summary>
    public static byte[]? ForBody(ChatCall call, TargetPlan target)
    {
        if (HostOf(target.Upstream) != AnthropicHost.BedrockInvoke || HostOf(target.Family) == AnthropicHost.BedrockInvoke || !call.Context.Request.Headers.TryGetValue(Header, out var values))
        {
            return null;
        }
        var names = values.ToString().Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        if (names.Length == 0)
        {
            return null;
        }
        var output = new ArrayBufferWriter<byte>();
        for (var i = 0; i < names.Length; i++)
        {
            output.Write(i == 0 ? "["u8 : ","u8);
            output.WriteText(names[i]);
        }
        output.WriteByte((byte)']');
        return output.WrittenSpan.ToArray();
    }

    /// <summary>Puts those in the client's body into the provider's header, where that is their place.</summary>
    public static void AddHeader(ChatCall call, TargetPlan target, HttpRequestMessage request)
    {
        if (HostOf(target.Upstream) == AnthropicHost.BedrockInvoke || HostOf(target.Family) != AnthropicHost.BedrockInvoke || target.Provider.Headers.Keys.Contains(Header, StringComparer.OrdinalIgnoreCase))
        {
            return;
        }
        var names = new List<string>();
        var betas = new JsonArrayReader(JsonMembers.Of(call.Body.Bytes).Take("anthropic_beta"u8));
        while (betas.Next(out var beta))
        {
            if (beta.IsText && ResponseHeaders.IsPlain(beta.Text.ToString()))
            {
                names.Add(beta.Text.ToString());
            }
        }
        if (names.Count > 0)
        {
            request.Headers.TryAddWithoutValidation(Header, string.Join(',', names));
        }
    }

    private static AnthropicHost? HostOf(EndpointFamily family) => (family.Dialect as AnthropicDialect)?.Host;
}
