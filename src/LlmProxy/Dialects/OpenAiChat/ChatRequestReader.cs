using System.Text.Json;
using LlmProxy.ChatCompletions;
using LlmProxy.Errors;
using LlmProxy.Neutral;
using Shared.Http;

namespace LlmProxy.Dialects.OpenAiChat;

/// <summary>Decodes a chat request. The first thing that is wrong is kept as the error; the rest is read on.</summary>
internal sealed partial class ChatRequestReader
{
    private readonly NeutralRequest request = new() { Source = DialectIds.OpenAiChat };
    private readonly ChatForm form = new();
    private readonly Stack<JsonMembers> spare = [];
    private GatewayError? error;

    private ChatRequestReader() => request.SourceForm = form;

    /// <summary>Decodes a body.</summary>
    public static GatewayError? Read(ReadOnlyMemory<byte> body, bool stream, out NeutralRequest? request)
    {
        var reader = new ChatRequestReader();
        try
        {
            reader.Read(body, stream);
        }
        catch (JsonException exception)
        {
            reader.error = OpenAiErrors.MalformedJson(exception);
        }
        request = reader.error is null ? reader.request : null;
        return reader.error;
    }

    private void Read(ReadOnlyMemory<byte> body, bool stream)
    {
        var members = Open(body);
        members.Take("model"u8);
        members.Take("stream"u8);
        request.Stream = stream;
        ReadStreamOptions(members);
        ReadTools(members);
        ReadToolChoice(members);
        ReadLimits(members);
        ReadSampling(members);
        ReadStop(members);
        ReadReasoning(members);
        ReadFormat(members);
        ReadModalities(members);
        ReadIdentity(members);
        request.ParallelToolCalls = Boolean(members, "parallel_tool_calls"u8, "parallel_tool_calls");
        request.LogProbs = Boolean(members, "logprobs"u8, "logprobs");
        request.TopLogProbs = (int?)Whole(members, "top_logprobs"u8, "top_logprobs", int.MaxValue);
        request.Store = Boolean(members, "store"u8, "store");
        request.ServiceTier = Text(members, "service_tier"u8, "service_tier");
        request.Verbosity = Text(members, "verbosity"u8, "verbosity");
        request.CacheKey = Text(members, "prompt_cache_key"u8, "prompt_cache_key");
        var metadata = members.Take("metadata"u8);
        Expect(!metadata.Exists || metadata.IsObject, "metadata", "an object of strings");
        request.Metadata = metadata.Raw;
        ReadCacheOptions(members);
        ReadMessages(members.Take("messages"u8));
        members.LeaveTo(request.Extensions);
        Close(members);
    }

    private void ReadStreamOptions(JsonMembers members)
    {
        request.WantsUsage = false;
        var options = members.Take("stream_options"u8);
        if (!options.Exists)
        {
            return;
        }
        Expect(options.IsObject, "stream_options", "an object");
        var inner = Open(options.Raw);
        request.WantsUsage = inner.Take("include_usage"u8).IsTrue;
        inner.LeaveTo(request.Extensions, "stream_options."u8);
        Close(inner);
    }

    private void ReadLimits(JsonMembers members)
    {
        var older = Whole(members, "max_tokens"u8, "max_tokens", RequestScanner.MaxOutputLimit);
        var newer = Whole(members, "max_completion_tokens"u8, "max_completion_tokens", RequestScanner.MaxOutputLimit);
        request.MaxOutputTokens = (older, newer) is ({ } left, { } right) ? Math.Max(left, right) : older ?? newer;
        request.Choices = (int)(Whole(members, "n"u8, "n", 1024) ?? 1);
    }

    private void ReadSampling(JsonMembers members)
    {
        var sampling = request.Sampling;
        sampling.Temperature = Number(members, "temperature"u8, "temperature");
        sampling.TopP = Number(members, "top_p"u8, "top_p");
        sampling.TopK = Number(members, "top_k"u8, "top_k");
        sampling.FrequencyPenalty = Number(members, "frequency_penalty"u8, "frequency_penalty");
        sampling.PresencePenalty = Number(members, "presence_penalty"u8, "presence_penalty");
        sampling.Seed = Number(members, "seed"u8, "seed");
    }

    private void ReadStop(JsonMembers members)
    {
        var stop = members.Take("stop"u8);
        if (stop.IsText)
        {
            form.StopIsText = true;
            request.StopSequences.Add(stop.Text);
            return;
        }
        Expect(!stop.Exists || stop.IsArray, "stop", "a string or an array of strings");
        var sequences = new JsonArrayReader(stop);
        while (sequences.Next(out var sequence))
        {
            Expect(sequence.IsText, "stop", "a string or an array of strings");
            request.StopSequences.Add(sequence.Text);
        }
    }

    private void ReadReasoning(JsonMembers members)
    {
        var effort = Text(members, "reasoning_effort"u8, "reasoning_effort");
        if (effort.Exists)
        {
            form.Effort = effort;
            Reasoning.Effort = effort;
        }
        var thinking = members.Take("thinking"u8);
        if (thinking.IsObject)
        {
            form.Thinking = thinking.Raw;
            ReadThinking(Open(thinking.Raw));
        }
        else if (thinking.Exists)
        {
            members.Return("thinking"u8);
        }
        var reasoning = members.Take("reasoning"u8);
        if (reasoning.IsObject)
        {
            form.Reasoning = reasoning.Raw;
            ReadReasoningObject(Open(reasoning.Raw));
        }
        else if (reasoning.Exists)
        {
            members.Return("reasoning"u8);
        }
    }

    private NeutralReasoning Reasoning => request.Reasoning ??= new NeutralReasoning();

    /// <summary><c>{"type":"enabled"|"disabled"|"adaptive","budget_tokens"}</c>: Anthropic's, which several compatible providers took over.</summary>
    private void ReadThinking(JsonMembers members)
    {
        var type = members.Take("type"u8);
        Reasoning.Enabled = !type.Is("disabled"u8);
        Reasoning.IsAdaptive = type.Is("adaptive"u8);
        Reasoning.BudgetTokens = Whole(members, "budget_tokens"u8, "thinking.budget_tokens", RequestScanner.MaxOutputLimit);
        members.LeaveTo(Reasoning.Extensions);
        Close(members);
    }

    /// <summary>OpenRouter's <c>{effort, max_tokens, exclude, enabled, summary}</c>.</summary>
    private void ReadReasoningObject(JsonMembers members)
    {
        if (Text(members, "effort"u8, "reasoning.effort") is { Exists: true } effort)
        {
            Reasoning.Effort = effort;
        }
        Reasoning.BudgetTokens ??= Whole(members, "max_tokens"u8, "reasoning.max_tokens", RequestScanner.MaxOutputLimit);
        Reasoning.Enabled = Boolean(members, "enabled"u8, "reasoning.enabled") ?? Reasoning.Enabled;
        Reasoning.Visible = !Boolean(members, "exclude"u8, "reasoning.exclude");
        Reasoning.Summary = Text(members, "summary"u8, "reasoning.summary");
        members.LeaveTo(Reasoning.Extensions);
        Close(members);
    }

    private void ReadFormat(JsonMembers members)
    {
        var format = members.Take("response_format"u8);
        if (!format.Exists)
        {
            return;
        }
        if (!Expect(format.IsObject, "response_format", "an object"))
        {
            return;
        }
        var inner = Open(format.Raw);
        var type = inner.Take("type"u8);
        if (type.Is("text"u8) && inner.IsEmpty)
        {
            form.WantsText = true;
        }
        else if (type.Is("json_object"u8))
        {
            request.OutputFormat = new NeutralOutputFormat();
            inner.LeaveTo(request.OutputFormat.Extensions);
        }
        else if (type.Is("json_schema"u8))
        {
            ReadSchema(inner);
        }
        else
        {
            members.Return("response_format"u8);
        }
        Close(inner);
    }

    private void ReadSchema(JsonMembers outer)
    {
        var value = outer.Take("json_schema"u8);
        if (!Expect(value.IsObject, "response_format.json_schema", "an object"))
        {
            return;
        }
        var members = Open(value.Raw);
        var schema = members.Take("schema"u8);
        Expect(!schema.Exists || schema.IsObject, "response_format.json_schema.schema", "an object");
        request.OutputFormat = new NeutralOutputFormat
        {
            Schema = schema.Exists ? schema.Raw : JsonBytes.EmptyObject,
            Name = Text(members, "name"u8, "response_format.json_schema.name"),
            Description = Text(members, "description"u8, "response_format.json_schema.description"),
            Strict = Boolean(members, "strict"u8, "response_format.json_schema.strict"),
        };
        members.LeaveTo(request.OutputFormat.Extensions, "json_schema."u8);
        outer.LeaveTo(request.OutputFormat.Extensions);
        Close(members);
    }

    private void ReadModalities(JsonMembers members)
    {
        var modalities = members.Take("modalities"u8);
        if (!modalities.Exists)
        {
            return;
        }
        Expect(modalities.IsArray, "modalities", "an array of strings");
        form.Modalities = modalities.Raw;
        var elements = new JsonArrayReader(modalities);
        while (elements.Next(out var modality))
        {
            if (Expect(modality.IsText, "modalities", "an array of strings") && !modality.Is("text"u8))
            {
                request.OutputModalities.Add(modality.Text.ToString().ToLowerInvariant());
            }
        }
    }

    private void ReadIdentity(JsonMembers members)
    {
        var user = Text(members, "user"u8, "user");
        var identifier = Text(members, "safety_identifier"u8, "safety_identifier");
        form.UsesSafetyIdentifier = identifier.Exists;
        request.EndUser = identifier.Exists ? identifier : user;
        if (identifier.Exists && user.Exists)
        {
            members.Return("user"u8);
        }
    }

    /// <summary>Options that mark the whole prompt are a cache mark; those that switch that off are this dialect's own.</summary>
    private void ReadCacheOptions(JsonMembers members)
    {
        var options = members.Take("prompt_cache_options"u8);
        if (!options.Exists)
        {
            return;
        }
        if (!Expect(options.IsObject, "prompt_cache_options", "an object"))
        {
            return;
        }
        var inner = Open(options.Raw);
        var mode = inner.Take("mode"u8);
        if (mode.Is("explicit"u8))
        {
            members.Return("prompt_cache_options"u8);
        }
        else
        {
            request.Cache = new CacheMark(Text(inner, "ttl"u8, "prompt_cache_options.ttl"));
            if (mode.Exists)
            {
                inner.Return("mode"u8);
            }
            inner.LeaveTo(request.Cache.Extensions);
        }
        Close(inner);
    }

    /// <summary>The members of an object, in a list that is used again once it is closed.</summary>
    private JsonMembers Open(ReadOnlyMemory<byte> json)
    {
        var members = spare.TryPop(out var used) ? used : new JsonMembers();
        members.Read(json);
        return members;
    }

    private void Close(JsonMembers members) => spare.Push(members);

    private bool Expect(bool isRight, string path, string expected)
    {
        if (!isRight)
        {
            error ??= OpenAiErrors.Invalid(path, expected);
        }
        return isRight;
    }

    private JsonText Text(JsonMembers members, ReadOnlySpan<byte> name, string path)
    {
        var value = members.Take(name);
        Expect(!value.Exists || value.IsText, path, "a string");
        return value.Text;
    }

    private bool? Boolean(JsonMembers members, ReadOnlySpan<byte> name, string path)
    {
        var value = members.Take(name);
        Expect(!value.Exists || value.IsBoolean, path, "true or false");
        return value.IsBoolean ? value.IsTrue : null;
    }

    private ReadOnlyMemory<byte> Number(JsonMembers members, ReadOnlySpan<byte> name, string path)
    {
        var value = members.Take(name);
        return Expect(!value.Exists || value.IsNumber, path, "a number") ? value.Raw : default;
    }

    private long? Whole(JsonMembers members, ReadOnlySpan<byte> name, string path, long most)
    {
        var value = members.Take(name);
        if (!value.Exists)
        {
            return null;
        }
        return Expect(value.TryGetWhole(out var number) && number >= 0 && number <= most, path, $"a whole number from 0 to {most}") ? number : null;
    }
}
