using System.Buffers;
using System.Text.Json;
using LlmProxy.Neutral;
using Shared.Http;

namespace LlmProxy.Dialects.Anthropic;

/// <summary>Writes a Messages request.</summary>
internal sealed class AnthropicRequestEncoder
{
    /// <summary>The output limit of a request that has none, for a model of which nobody knows the most: Anthropic demands one.</summary>
    public const long UsualOutputTokens = 4096;

    private static readonly byte[] EmptySchema = "{\"type\":\"object\",\"properties\":{}}"u8.ToArray();

    private readonly NeutralRequest request;
    private readonly EncodeTarget target;
    private readonly AnthropicHost host;
    private readonly DropReport dropped;
    private readonly ClaudeModel model;
    private readonly CacheBreakpoints breakpoints;
    private readonly bool isOwn;
    private readonly long outputLimit;

    public AnthropicRequestEncoder(NeutralRequest request, EncodeTarget target, AnthropicHost host)
    {
        (this.request, this.target, this.host, dropped) = (request, target, host, target.Dropped);
        model = ClaudeModel.Of(target.Model);
        breakpoints = new CacheBreakpoints(request);
        isOwn = request.Source == DialectIds.Anthropic;
        outputLimit = target.OutputLimit ?? request.MaxOutputTokens ?? target.MaxOutputTokens ?? UsualOutputTokens;
    }

    /// <summary>Writes the body.</summary>
    /// <returns>Null, or why none can be made that would mean the same.</returns>
    public GatewayError? Encode(IBufferWriter<byte> output)
    {
        if (request.Choices > 1)
        {
            return new GatewayError(400, "unsupported_parameter", $"'n' is {request.Choices}, but Anthropic's models give one answer. Leave it out, or send as many requests.") { Field = "n" };
        }
        try
        {
            Write(output);
            return null;
        }
        catch (Exception exception) when (exception is JsonException or ArgumentException or InvalidOperationException)
        {
            return new GatewayError(400, "invalid_schema", $"A schema of a tool or of the answer's form cannot be read: {exception.Message}") { Field = "tools" };
        }
    }

    private void Write(IBufferWriter<byte> output)
    {
        if (!isOwn)
        {
            UnknownMembers.Report(request, dropped, AnthropicReasoning.IsOwn(request));
        }
        var json = new JsonObjectWriter(output);
        if (host == AnthropicHost.Anthropic)
        {
            json.Text("model"u8, target.Model);
        }
        else if (request.Extensions.Find("anthropic_version"u8).IsEmpty)
        {
            json.Raw("anthropic_version"u8, AnthropicEdits.VersionOf(host));
        }
        json.Number("max_tokens"u8, outputLimit);
        var conversation = new AnthropicConversation(request, model, breakpoints, dropped);
        conversation.Write(ref json, output);
        WriteTools(ref json, output);
        var isThinking = WriteReasoning(ref json, output, conversation);
        WriteSampling(ref json, isThinking);
        WriteStops(ref json, output);
        WriteMetadata(ref json, output);
        WriteTier(ref json, output);
        if (request.Cache is { } cache)
        {
            json.Name("cache_control"u8);
            WriteCache(output, cache, dropped);
        }
        if (request.Stream && host != AnthropicHost.BedrockInvoke)
        {
            json.Boolean("stream"u8, true);
        }
        if (isOwn)
        {
            foreach (var (name, value) in request.Extensions.Members)
            {
                if (!name.Escaped.Span.StartsWith("output_config."u8))
                {
                    json.Raw(name.Escaped.Span, value);
                }
            }
        }
        if (breakpoints.HasSpare)
        {
            dropped.Add("cache_control");
        }
        ReportTheRest();
        json.End();
    }

    /// <summary>Writes a cache mark.</summary>
    public static void WriteCache(IBufferWriter<byte> output, CacheMark cache, DropReport dropped)
    {
        var json = new JsonObjectWriter(output);
        if (cache.Extensions.Find("type"u8).IsEmpty)
        {
            json.Raw("type"u8, "\"ephemeral\""u8);
        }
        if (cache.Ttl.Exists)
        {
            // Five minutes and an hour are all that there is; whoever asks for longer is served best by the hour.
            json.Raw("ttl"u8, cache.Ttl.Is("5m"u8) ? "\"5m\""u8 : "\"1h\""u8);
            if (!cache.Ttl.Is("5m"u8) && !cache.Ttl.Is("1h"u8))
            {
                dropped.Add("cache_control.ttl");
            }
        }
        json.Members(cache.Extensions);
        json.End();
    }

    private void WriteTools(ref JsonObjectWriter json, IBufferWriter<byte> output)
    {
        var tools = request.Tools.Where(IsWritten).ToList();
        var called = tools.Count == 0 && !isOwn ? CalledBefore() : [];
        if (tools.Count == 0 && called.Count == 0)
        {
            if (request.ToolChoice is { } alone && isOwn)
            {
                WriteToolChoice(ref json, output, alone.Mode, alone);
            }
            return;
        }
        json.Name("tools"u8);
        output.WriteByte((byte)'[');
        var first = true;
        foreach (var tool in tools)
        {
            Separate(output, ref first);
            WriteTool(output, tool);
        }
        foreach (var name in called)
        {
            // Without tools, calls in the history are refused.
            Separate(output, ref first);
            var declared = new JsonObjectWriter(output);
            declared.Text("name"u8, JsonText.From(name));
            declared.Raw("input_schema"u8, EmptySchema);
            declared.End();
        }
        output.WriteByte((byte)']');
        if (called.Count > 0)
        {
            WriteToolChoice(ref json, output, ToolChoiceMode.None, null);
        }
        else if (request.ToolChoice is { } choice)
        {
            var mode = choice.Mode != ToolChoiceMode.Allowed ? choice.Mode : choice.IsRequired ? ToolChoiceMode.Required : ToolChoiceMode.Auto;
            WriteToolChoice(ref json, output, mode, choice);
        }
        else if (request.ParallelToolCalls == false)
        {
            WriteToolChoice(ref json, output, ToolChoiceMode.Auto, null);
        }
    }

    private bool IsWritten(NeutralTool tool)
    {
        if (tool.Kind == ToolKind.Provider && !isOwn)
        {
            dropped.Add($"tools[].{(tool.Name.Exists ? tool.Name.ToString() : "type")}");
            return false;
        }
        return request.ToolChoice is not { Mode: ToolChoiceMode.Allowed } choice || choice.Names.Exists(name => name.ToString() == tool.Name.ToString());
    }

    private List<string> CalledBefore() =>
        [.. request.Messages.SelectMany(message => message.Parts).OfType<ToolCallPart>().Select(call => call.Name.ToString()).Distinct(StringComparer.Ordinal)];

    private void WriteTool(IBufferWriter<byte> output, NeutralTool tool)
    {
        if (tool.Kind == ToolKind.Provider)
        {
            output.Write(tool.Raw.Span);
            return;
        }
        var json = new JsonObjectWriter(output);
        json.Text("name"u8, tool.Name);
        json.Text("description"u8, tool.Description);
        if (tool.Kind == ToolKind.Custom)
        {
            json.Raw("input_schema"u8, CustomTools.Schema);
            if (!tool.Format.IsEmpty)
            {
                dropped.Add("tools[].format");
            }
        }
        else if (isOwn)
        {
            json.Raw("input_schema"u8, tool.Parameters);
            json.Boolean("strict"u8, tool.Strict);
        }
        else
        {
            WriteParameters(ref json, output, tool);
        }
        if (tool.Cache is { } cache && breakpoints.Keeps(cache))
        {
            json.Name("cache_control"u8);
            WriteCache(output, cache, dropped);
        }
        if (isOwn)
        {
            json.Members(tool.Extensions);
        }
        json.End();
    }

    private void WriteParameters(ref JsonObjectWriter json, IBufferWriter<byte> output, NeutralTool tool)
    {
        json.Name("input_schema"u8);
        var strict = tool.Strict == true && model.HoldsToSchemas;
        if (tool.Strict == true && !strict)
        {
            dropped.Add("tools[].strict");
        }
        if (tool.Parameters.IsEmpty)
        {
            output.Write(EmptySchema);
        }
        else if (strict)
        {
            AnthropicSchema.Write(tool.Parameters, output, dropped, "tools[].parameters.");
        }
        else if (JsonMembers.Of(tool.Parameters).Take("type"u8).Exists)
        {
            output.Write(tool.Parameters.Span);
        }
        else
        {
            // The arguments are an object in every dialect; only this one wants to be told.
            output.Write("{\"type\":\"object\""u8);
            output.Write(tool.Parameters.Span.TrimStart(" \t\r\n"u8)[1..].TrimStart(" \t\r\n"u8) is [(byte)'}', ..] ? default : ","u8);
            output.Write(tool.Parameters.Span.TrimStart(" \t\r\n"u8)[1..]);
        }
        if (strict)
        {
            json.Boolean("strict"u8, true);
        }
    }

    private void WriteToolChoice(ref JsonObjectWriter json, IBufferWriter<byte> output, ToolChoiceMode mode, NeutralToolChoice? choice)
    {
        json.Name("tool_choice"u8);
        var inner = new JsonObjectWriter(output);
        inner.Raw("type"u8, mode switch
        {
            ToolChoiceMode.None => "\"none\""u8,
            ToolChoiceMode.Required => "\"any\""u8,
            ToolChoiceMode.Named => "\"tool\""u8,
            _ => "\"auto\""u8,
        });
        if (mode == ToolChoiceMode.Named)
        {
            inner.Text("name"u8, choice!.Names.FirstOrDefault());
        }
        if (mode != ToolChoiceMode.None && (isOwn ? request.ParallelToolCalls is not null : request.ParallelToolCalls == false))
        {
            inner.Boolean("disable_parallel_tool_use"u8, request.ParallelToolCalls == false);
        }
        if (choice is not null)
        {
            if (isOwn)
            {
                inner.Members(choice.Extensions);
            }
        }
        inner.End();
    }

    /// <returns>Whether thoughts are asked for, which forbids some of the sampling.</returns>
    private bool WriteReasoning(ref JsonObjectWriter json, IBufferWriter<byte> output, AnthropicConversation conversation)
    {
        var plan = AnthropicReasoning.PlanFor(request, model, outputLimit, conversation.LacksThoughts, dropped);
        AnthropicReasoning.Write(ref json, output, plan, request);
        WriteOutputConfig(ref json, output, plan);
        return plan.Type is "enabled" or "adaptive";
    }

    private void WriteOutputConfig(ref JsonObjectWriter json, IBufferWriter<byte> output, in ThinkingPlan plan)
    {
        var others = isOwn ? request.Extensions.Members.Where(member => member.Key.Escaped.Span.StartsWith("output_config."u8)).ToList() : [];
        var format = request.OutputFormat;
        if (format is not null && !isOwn && (format.Schema.IsEmpty || !model.HoldsToSchemas))
        {
            dropped.Add("response_format");
            format = null;
        }
        if (plan.Effort is null && format is null && others.Count == 0)
        {
            return;
        }
        json.Name("output_config"u8);
        var config = new JsonObjectWriter(output);
        config.Text("effort"u8, plan.Effort);
        if (format is not null)
        {
            config.Name("format"u8);
            var inner = new JsonObjectWriter(output);
            inner.Raw("type"u8, "\"json_schema\""u8);
            inner.Name("schema"u8);
            if (isOwn)
            {
                output.Write(format.Schema.Span);
                inner.Members(format.Extensions);
            }
            else
            {
                AnthropicSchema.Write(format.Schema, output, dropped, "response_format.");
                if (format.Description.Exists)
                {
                    dropped.Add("response_format.description");
                }
            }
            inner.End();
        }
        foreach (var (name, value) in others)
        {
            config.Raw(name.Escaped.Span["output_config.".Length..], value);
        }
        config.End();
    }

    private void WriteSampling(ref JsonObjectWriter json, bool isThinking)
    {
        var sampling = request.Sampling;
        if (isOwn)
        {
            json.Raw("temperature"u8, sampling.Temperature);
            json.Raw("top_p"u8, sampling.TopP);
            json.Raw("top_k"u8, sampling.TopK);
            return;
        }
        var refused = model.RefusesSampling;
        WriteTemperature(ref json, refused || isThinking);
        var bothGiven = !sampling.Temperature.IsEmpty && model.TakesOneSampling;
        WriteOrReport(ref json, "top_p"u8, "top_p", sampling.TopP, refused || isThinking || bothGiven);
        WriteOrReport(ref json, "top_k"u8, "top_k", sampling.TopK, refused || isThinking);
        WriteOrReport(ref json, default, "frequency_penalty", sampling.FrequencyPenalty, isRefused: true);
        WriteOrReport(ref json, default, "presence_penalty", sampling.PresencePenalty, isRefused: true);
        WriteOrReport(ref json, default, "seed", sampling.Seed, isRefused: true);
    }

    private void WriteTemperature(ref JsonObjectWriter json, bool isRefused)
    {
        var raw = request.Sampling.Temperature;
        if (raw.IsEmpty || !System.Buffers.Text.Utf8Parser.TryParse(raw.Span, out double temperature, out _))
        {
            return;
        }
        if (isRefused)
        {
            if (temperature != 1)
            {
                dropped.Add("temperature");
            }
            return;
        }
        if (temperature > 1)
        {
            dropped.Add("temperature"); // others go up to 2
        }
        json.Raw("temperature"u8, temperature > 1 ? "1"u8 : raw.Span);
    }

    private void WriteOrReport(ref JsonObjectWriter json, ReadOnlySpan<byte> name, string path, ReadOnlyMemory<byte> value, bool isRefused)
    {
        if (value.IsEmpty)
        {
            return;
        }
        if (isRefused)
        {
            dropped.Add(path);
        }
        else
        {
            json.Raw(name, value);
        }
    }

    private void WriteStops(ref JsonObjectWriter json, IBufferWriter<byte> output)
    {
        var stops = isOwn ? request.StopSequences : [.. request.StopSequences.Where(HasInk)];
        if (stops.Count < request.StopSequences.Count)
        {
            dropped.Add("stop"); // white space alone is refused
        }
        if (stops.Count == 0)
        {
            return;
        }
        json.Name("stop_sequences"u8);
        output.WriteByte((byte)'[');
        var first = true;
        foreach (var stop in stops)
        {
            Separate(output, ref first);
            output.WriteText(stop);
        }
        output.WriteByte((byte)']');
    }

    private static bool HasInk(JsonText text) => !string.IsNullOrWhiteSpace(text.ToString());

    private void WriteMetadata(ref JsonObjectWriter json, IBufferWriter<byte> output)
    {
        if (isOwn && !request.Extensions.Find("metadata"u8).IsEmpty)
        {
            return; // stands among the extensions, whole
        }
        if (request.EndUser.Exists)
        {
            json.Name("metadata"u8);
            var metadata = new JsonObjectWriter(output);
            metadata.Text("user_id"u8, request.EndUser);
            metadata.End();
        }
        if (!request.Metadata.IsEmpty)
        {
            dropped.Add("metadata");
        }
    }

    private void WriteTier(ref JsonObjectWriter json, IBufferWriter<byte> output)
    {
        var tier = request.ServiceTier;
        if (!tier.Exists)
        {
            return;
        }
        if (isOwn || tier.Is("auto"u8))
        {
            json.Name("service_tier"u8);
            output.WriteText(tier);
        }
        else if (tier.Is("default"u8) || tier.Is("standard"u8))
        {
            json.Raw("service_tier"u8, "\"standard_only\""u8);
        }
        else
        {
            dropped.Add("service_tier");
        }
    }

    /// <summary>Names what has no place in this format.</summary>
    private void ReportTheRest()
    {
        Report(request.LogProbs == true || request.TopLogProbs is not null, "logprobs");
        Report(request.CacheKey.Exists, "prompt_cache_key");
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

    public static void Separate(IBufferWriter<byte> output, ref bool first)
    {
        if (!first)
        {
            output.WriteByte((byte)',');
        }
        first = false;
    }
}
