using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using LlmProxy.Dialects.Anthropic;
using LlmProxy.Neutral;
using Shared.Http;

namespace LlmProxy.Dialects.Bedrock;

/// <summary>Writes a Converse request.</summary>
/// <remarks>
/// Bedrock wants the conversation to begin with the user, user and assistant to take turns, all results of a turn's calls in one user message, no blank texts, and tools declared
/// wherever the history calls any.
/// </remarks>
internal sealed partial class BedrockRequestEncoder(NeutralRequest request, EncodeTarget target, IBufferWriter<byte> output)
{
    private const string IdCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    private const int MaxIdLength = 64;

    private static readonly ExtensionBag NoMembers = new();

    // What is left over of these goes back with them.
    private static readonly string[] Containers = ["inferenceConfig.", "toolConfig."];

    private readonly bool isOwn = request.Source == DialectIds.Bedrock;
    private readonly BedrockForm? form = request.SourceForm as BedrockForm;
    private readonly bool isClaude = target.Model.Contains("claude", StringComparison.OrdinalIgnoreCase) || target.Model.Contains("anthropic", StringComparison.OrdinalIgnoreCase);
    private readonly ClaudeModel claude = ClaudeModel.Of(target.Model);
    private readonly DropReport dropped = target.Dropped;
    private readonly HashSet<string> documentNames = new(StringComparer.OrdinalIgnoreCase);
    private GatewayError? error;
    private bool answersByTool;
    private ThinkingPlan plan;

    private bool IsThinking => plan.Type is "enabled" or "adaptive";

    private long? Limit => target.OutputLimit ?? request.MaxOutputTokens;

    /// <summary>Writes it.</summary>
    /// <returns>Null, or why it cannot be said here.</returns>
    public GatewayError? Run()
    {
        answersByTool = request.OutputFormat is not null && !isOwn && !(isClaude && claude.HoldsToSchemas && !request.OutputFormat.Schema.IsEmpty);
        plan = isClaude && !isOwn ? AnthropicReasoning.PlanFor(request, claude, Limit ?? target.MaxOutputTokens ?? 4096, LacksThoughts(), dropped) : default;
        if (!isOwn)
        {
            UnknownMembers.Report(request, dropped, isClaude && AnthropicReasoning.IsOwn(request));
        }
        var json = new JsonObjectWriter(output);
        WriteSystem(ref json);
        WriteMessages(ref json);
        WriteConfig(ref json);
        WriteTools(ref json);
        WriteAdditional(ref json);
        WriteOutputConfig(ref json);
        if (form is { ServiceTier.IsEmpty: false })
        {
            json.Raw("serviceTier"u8, form.ServiceTier);
        }
        else if (!request.ServiceTier.IsBlank)
        {
            WriteTier(ref json);
        }
        WriteMetadata(ref json);
        foreach (var member in isOwn ? request.Extensions.Members : [])
        {
            var name = member.Key.ToString();
            if (!Array.Exists(Containers, container => name.StartsWith(container, StringComparison.Ordinal)))
            {
                json.Name(member.Key.Escaped.Span);
                output.Write(member.Value.Span);
            }
        }
        json.End();
        ReportTheRest();
        return error;
    }

    private static GatewayError Inexpressible(string field, string message) => new(400, "unsupported_value", message) { Field = field };

    private void WriteSystem(ref JsonObjectWriter json)
    {
        var systems = request.Messages.Where(message => message.Role is NeutralRole.System or NeutralRole.Developer).ToList();
        if (systems.Count == 0)
        {
            return;
        }
        if (request.Messages.FindIndex(message => message.Role is not (NeutralRole.System or NeutralRole.Developer)) is >= 0 and var first && request.Messages.FindLastIndex(message => message.Role is NeutralRole.System or NeutralRole.Developer) > first)
        {
            dropped.Add("messages[].position"); // instructions amid the conversation stand before it here
        }
        var blocks = new BlockList(output);
        var begun = false;
        foreach (var part in systems.SelectMany(message => message.Parts))
        {
            if (part is not (TextPart or NativePart))
            {
                dropped.Add("messages[].content[] (system)");
                continue;
            }
            if (part is TextPart { Text: var text } && IsBlank(text) && !isOwn)
            {
                continue;
            }
            if (part is NativePart && !isOwn)
            {
                dropped.Add("system[]." + ((NativePart)part).Type);
                continue;
            }
            if (!begun)
            {
                json.Name("system"u8);
                output.WriteByte((byte)'[');
                begun = true;
            }
            WritePart(ref blocks, part);
        }
        if (begun)
        {
            output.WriteByte((byte)']');
        }
    }

    private void WriteMessages(ref JsonObjectWriter json)
    {
        json.Name("messages"u8);
        output.WriteByte((byte)'[');
        NeutralMessage? open = null;
        var isUser = false;
        var blocks = new BlockList(output);
        foreach (var message in request.Messages)
        {
            if (message.Role is NeutralRole.System or NeutralRole.Developer)
            {
                continue;
            }
            if (message.Name.Exists)
            {
                dropped.Add("messages[].name");
            }
            var joins = open is not null && isUser == (message.Role != NeutralRole.Assistant) && (!isOwn || message.IsShort);
            var parts = message.Parts.Where(IsWritten).ToList();
            if (!joins && (parts.Count > 0 || isOwn))
            {
                EndMessage(open);
                output.Write(open is null ? ""u8 : ","u8);
                isUser = message.Role != NeutralRole.Assistant;
                if (open is null && !isUser && !isOwn)
                {
                    error ??= Inexpressible("messages", "Amazon Bedrock takes only conversations that begin with a user message. Put one first.");
                }
                output.Write(isUser ? "{\"role\":\"user\",\"content\":["u8 : "{\"role\":\"assistant\",\"content\":["u8);
                blocks = new BlockList(output);
                open = message;
            }
            foreach (var part in parts)
            {
                WritePart(ref blocks, part);
            }
        }
        EndMessage(open);
        output.WriteByte((byte)']');
    }

    private void EndMessage(NeutralMessage? message)
    {
        if (message is null)
        {
            return;
        }
        output.WriteByte((byte)']');
        foreach (var (name, value) in isOwn ? message.Extensions.Members : [])
        {
            output.WriteByte((byte)',');
            output.WriteText(name);
            output.WriteByte((byte)':');
            output.Write(value.Span);
        }
        output.WriteByte((byte)'}');
    }

    /// <summary>Writes the members of this dialect that belong into an object: those below a path, and not deeper.</summary>
    private void WriteOwn(ref JsonObjectWriter json, ExtensionBag bag, string path)
    {
        foreach (var (name, value) in isOwn ? bag.Members : [])
        {
            var escaped = name.Escaped.Span;
            if (escaped.StartsWith(Encoding.ASCII.GetBytes(path)) && !escaped[path.Length..].Contains((byte)'.'))
            {
                json.Raw(escaped[path.Length..], value);
            }
        }
    }

    private void ReportTheRest()
    {
        Report(request.Choices > 1, "n");
        Report(!request.Sampling.FrequencyPenalty.IsEmpty, "frequency_penalty");
        Report(!request.Sampling.PresencePenalty.IsEmpty, "presence_penalty");
        Report(!request.Sampling.Seed.IsEmpty, "seed");
        Report(request.LogProbs == true || request.TopLogProbs > 0, "logprobs");
        Report(request.EndUser.Exists, "user");
        Report(request.CacheKey.Exists, "prompt_cache_key");
        Report(request.Cache is not null, "cache_control");
        Report(request.Store == true, "store");
        Report(request.Verbosity.Exists, "verbosity");
        Report(request.OutputModalities.Exists(modality => modality != "text"), "modalities");
    }

    private void Report(bool isLost, string name)
    {
        if (isLost)
        {
            dropped.Add(name);
        }
    }

    /// <summary>A call's id as Bedrock takes it; the same for the same id, so that call and result still belong together.</summary>
    private JsonText IdOf(JsonText id)
    {
        var text = id.ToString();
        if (isOwn || (text.Length is > 0 and <= MaxIdLength && text.All(IdCharacters.Contains)))
        {
            return id;
        }
        return JsonText.From("call_" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..32]);
    }

    private JsonText NameOf(JsonText name)
    {
        var text = name.ToString();
        if (!isOwn && (text.Length is 0 or > MaxIdLength || !text.All(IdCharacters.Contains)))
        {
            error ??= Inexpressible("tools[].name", $"Amazon Bedrock takes names of tools of 1 to {MaxIdLength} letters, digits, hyphens and underscores. Rename the tool '{(text.Length > 100 ? text[..100] : text)}'.");
        }
        return name;
    }

    /// <summary>Puts commas between the elements of an array.</summary>
    private struct BlockList(IBufferWriter<byte> output)
    {
        public bool Any { get; private set; }

        public void Next()
        {
            output.Write(Any ? ","u8 : ""u8);
            Any = true;
        }
    }
}
